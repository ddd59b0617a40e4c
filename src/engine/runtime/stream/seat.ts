// One partition of a stream part, from the moment its progress is known, and what /ready says of it.
import { KAFKA_IS_AWAY } from "../failure.ts";
import type { Clock } from "../../core/ports.ts";
import type { TaskState } from "../../observe/health.ts";
import type { TakenOver } from "../../source/takeover.ts";
import type { FollowProgress } from "../../state/follow.ts";
import type { StreamTask } from "./task.ts";

export interface Seat {
  readonly partition: number;
  /** Ends with the assignment or the takeover. */
  readonly life: AbortController;
  task: StreamTask | null;
  waitingFor: string | null;
  restoring: FollowProgress | null;
}

export const newSeat = (partition: number): Seat => ({
  partition,
  life: new AbortController(),
  task: null,
  waitingFor: null,
  restoring: null,
});

/** Drops what it has staged. */
export function leave({ task, life }: Seat): void {
  task?.close();
  life.abort(new Error("the task was closed"));
}

interface Waits {
  readonly part: string | null;
  readonly worker: string | null;
  readonly isAway: boolean;
}

/** The dependency that holds up the partition, the part or the worker. */
export function awayFor(seat: Seat | undefined, { part, worker, isAway }: Waits): string | null {
  const own = seat === undefined ? part : seat.waitingFor;
  return own ?? seat?.task?.waitingFor ?? worker ?? (isAway ? KAFKA_IS_AWAY : null);
}

/** The state of a partition that nothing holds up. */
export function stateOf(seat: Seat | undefined): TaskState {
  const { task = null, restoring = null } = seat ?? {};
  if (restoring !== null) return { state: "starting", why: restoringText(restoring) };
  return { state: task === null ? "starting" : "running" };
}

const restoringText = ({ from, next, end }: FollowProgress): string =>
  `restores state: ${String(next - from)} of ${String(end - from)} changes`;

export function byPartition(taken: readonly TakenOver[]): Map<number, TakenOver[]> {
  const groups = new Map<number, TakenOver[]>();
  for (const start of taken)
    groups.set(start.partition, [...(groups.get(start.partition) ?? []), start]);
  return groups;
}

/** Rejects when the signal aborts, with its reason. */
export const rejected = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });

/** A leaving owner waits this long for its copies of state. */
const COPIES_WITHIN_MS = 1_000;

/** So that the next owner finds its copies where they should be; not for long, as it can bring them there itself. */
export async function copiesSettled(tasks: readonly StreamTask[], clock: Clock): Promise<void> {
  const all = Promise.all(tasks.map((task) => task.settled()));
  const wait = new AbortController();
  // A copy that cannot be brought up has been told of by its task; the sleep is cut short on purpose.
  const quiet = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
  await Promise.race([quiet(all), quiet(clock.sleep(COPIES_WITHIN_MS, wait.signal))]);
  wait.abort(new Error("no need to wait"));
}
