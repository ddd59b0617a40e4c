// A task whose outputs were refused commits in transactions of its own, so that a further refusal rewinds no neighbour.
// The checkpoints shrink where no record could be blamed, until one has a single record, and grow again behind it.
import { refusalText, type MillraceError } from "../../../core/errors.ts";
import type { AdminPort } from "../../../core/kafka.ts";
import { placeOf, type TopicName } from "../../../core/record.ts";
import { countPause, countRefused } from "../../../observe/task-metrics.ts";
import type { WorkerContext } from "../../context.ts";
import type { Blame } from "./blame.ts";
import type { TaskCheckpoint } from "./tally.ts";

/** The consequences of a refusal for its task. */
export interface RefusalVerdict {
  /** Some of what was refused could be traced to no record. */
  readonly isUnclear: boolean;
  /** Nothing that a record did: the topic, or the right to write it, is missing. */
  readonly why: string | null;
  /** The topic, where it does not exist. */
  readonly missing: TopicName | null;
}

/** The pauses between tries of what is refused. */
const pauseMs = { first: 500, most: 10_000 } as const;

export class Probation {
  /** Records that one checkpoint may have; null where it is as usual. */
  recordsMax: number | null = null;
  /** The reason why the task waits. */
  why: string | null = null;
  /** The topic that must be there before the task tries again: to ask for it costs others nothing. */
  missing: TopicName | null = null;
  /** By the monotonic clock. */
  #dueMs = -Infinity;
  #failures = 0;
  /** The end of the refused checkpoint, by topic: to there the task is alone. */
  readonly #until = new Map<TopicName, bigint>();

  /** Whether the task should commit now. */
  async mayTry(admin: AdminPort, nowMs: number): Promise<boolean> {
    if (nowMs < this.#dueMs) return false;
    if (this.missing === null) return true;
    // A broker that cannot be asked will be asked again.
    const found = await admin.describeTopics([this.missing]).catch(() => null);
    const isThere = (found?.get(this.missing) ?? null) !== null;
    if (!isThere) this.#putOff(nowMs);
    return isThere;
  }

  refused(
    { progress, units }: TaskCheckpoint,
    { isUnclear, why, missing }: RefusalVerdict,
    nowMs: number,
  ): void {
    for (const { topic, nextOffset } of progress) {
      const known = this.#until.get(topic) ?? 0n;
      this.#until.set(topic, nextOffset > known ? nextOffset : known);
    }
    if (isUnclear) {
      const most = Math.min(units, this.recordsMax ?? Infinity);
      this.recordsMax = Math.max(1, Math.floor(most / 2));
    }
    this.why = why;
    this.missing = missing;
    if (why === null) this.#failures = 0;
    else this.#putOff(nowMs);
  }

  #putOff(nowMs: number): void {
    this.#dueMs = nowMs + Math.min(pauseMs.most, pauseMs.first * 2 ** this.#failures);
    this.#failures++;
  }

  /** A checkpoint of the task was decided. Returns whether it may join the others again. */
  passed({ progress }: TaskCheckpoint): boolean {
    this.why = null;
    this.missing = null;
    this.#failures = 0;
    if (this.recordsMax !== null) this.recordsMax *= 2;
    return progress.every(({ topic, nextOffset }) => nextOffset >= (this.#until.get(topic) ?? 0n));
  }
}

/** Probations of a part's tasks, by partition; a task without one commits with the others. They outlive the tasks, which refusals end. */
export type Probations = Map<number, Probation>;

/** Remembers the records; their task must go back to committed progress. */
export function refuse(
  probations: Probations,
  { stage, sources, ...verdict }: Blame,
  { clock, log, meter }: WorkerContext,
): void {
  const { task, work, refusals } = stage;
  const { why, code } = verdict;
  const { address } = task;
  const reasons = sources.map(({ refused }) => refusalText([refused]));
  const facts = { ...address, refused: sources.length, why: why ?? reasons[0] };
  for (const { refused } of sources) countRefused(meter, address, refused.code);
  if (why !== null) countPause(meter, address, "write", code);
  if (why !== null) log.error(facts, "the task is paused: its outputs are refused");
  else log.warn(facts, "outputs were refused: their records become dead letters");
  const progress = new Map(work.positions().map(({ topic, committed }) => [topic, committed]));
  for (const one of sources) refusals.note(one, progress.get(placeOf(one.raw).topic) ?? 0n);
  const probation = probations.get(task.partition) ?? new Probation();
  probations.set(task.partition, probation);
  probation.refused(stage, verdict, clock.monotonic());
}

/** Until a worker asks again for what Kafka has refused it: rights of the client, a request as such. */
export interface Pause {
  readonly why: string | null;
  /** By the monotonic clock. */
  readonly untilMs: number;
  readonly forMs: number;
}

export const NO_PAUSE: Pause = { why: null, untilMs: -Infinity, forMs: 0 };

/** The pause after that one. */
export function longer(last: Pause, error: MillraceError, nowMs: number): Pause {
  const forMs = Math.min(pauseMs.most, Math.max(pauseMs.first, last.forMs * 2));
  return { why: error.message, forMs, untilMs: nowMs + forMs };
}
