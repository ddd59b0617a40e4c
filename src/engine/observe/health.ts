// The answers of /live and /ready, from facts alone. Live: restarting the process would not help. Ready: its tasks
// move. A halted task leaves the process live, since a restart would halt at the same record; it is not ready, so a
// roll-out stops there.
import type { ErrorCode } from "../core/error-table.ts";
import type { TaskAt } from "../core/record.ts";
import { slowestShown, type ShownWait } from "./time-waits.ts";

export const taskStates = ["starting", "running", "paused", "stopped"] as const;

/**
 * starting: takes over committed progress and restores state · running: reads and commits · paused: waits for a dependency that is away
 * (back-pressure is still running) · stopped: will not go on by itself.
 */
export type TaskStatus =
  | { readonly state: "starting"; readonly why?: string }
  | { readonly state: "running" }
  | { readonly state: "paused"; readonly why: string }
  | {
      readonly state: "stopped";
      readonly code: ErrorCode;
      readonly message: string;
      readonly sinceMs: number;
    };

export interface TaskAddress extends TaskAt {
  readonly pipeline: string;
}
export type TaskHealth = TaskAddress & TaskStatus;

/** The body of /live and /ready. */
export interface Health {
  readonly ok: boolean;
  readonly reasons: readonly string[];
  readonly tasks: readonly TaskHealth[];
  /** The partition for whose time each operator waits; left out where no operator asks for time. It makes nothing unready. */
  readonly time?: readonly ShownWait[];
}

export interface WorkerFacts {
  /** False until every consumer group was joined once: no tasks may then mean that there are none to have. */
  readonly isJoined: boolean;
  /** The condition for which the start waits. */
  readonly waitingFor?: string | null;
  /** Pipelines that do not go on as a whole, each with why. */
  readonly whyPaused?: readonly string[];
  /** The time since the loop began its latest pass. */
  readonly passAgeMs: number;
  readonly passAgeMsMax: number;
  readonly tasks: readonly TaskHealth[];
  readonly time?: readonly ShownWait[];
}

const verdict = (
  reasons: readonly string[],
  tasks: readonly TaskHealth[],
  time: readonly ShownWait[] = [],
): Health => ({
  ok: reasons.length === 0,
  reasons,
  tasks,
  ...(time.length === 0 ? {} : { time }),
});

const stuckLoop = (worker: WorkerFacts): readonly string[] =>
  worker.passAgeMs > worker.passAgeMsMax
    ? [`the loop has not turned for ${String(Math.round(worker.passAgeMs / 1000))} s`]
    : [];

/** False only when the loop is stuck: the one thing that a new process cures. */
export const livenessOf = (worker: WorkerFacts): Health => verdict(stuckLoop(worker), worker.tasks);

/** True when the worker has joined its groups and every task that it owns is running. */
export const readinessOf = (worker: WorkerFacts): Health =>
  verdict(
    [
      ...stuckLoop(worker),
      ...(worker.isJoined ? [] : [notJoined(worker)]),
      ...(worker.whyPaused ?? []),
      ...worker.tasks.filter((task) => task.state !== "running").map(describe),
    ],
    worker.tasks,
    worker.time,
  );

const notJoined = ({ waitingFor = null }: WorkerFacts): string =>
  `not yet a member of every consumer group${waitingFor === null ? "" : `: ${waitingFor}`}`;

/** The verdict for several processes; null is a process that does not answer. */
export const mergeHealth = (parts: readonly (Health | null)[]): Health =>
  verdict(
    parts.flatMap((part) => part?.reasons ?? ["a worker process does not answer"]),
    parts.flatMap((part) => part?.tasks ?? []),
    slowestShown(parts.flatMap((part) => part?.time ?? [])),
  );

function describe(task: TaskHealth): string {
  const at = `${task.pipeline}.${task.part} ${task.topic}-${String(task.partition)}`;
  if (task.state === "paused") return `${at} is paused: ${task.why}`;
  if (task.state === "stopped") return `${at} has stopped: ${task.code} ${task.message}`;
  return `${at} is ${task.state}`;
}
