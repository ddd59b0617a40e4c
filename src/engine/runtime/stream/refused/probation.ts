// A task whose outputs were refused commits in transactions of its own, so that a further refusal rewinds no neighbour.
// The checkpoints shrink where no record could be blamed, until one holds a single record, and grow again behind it.
import { placeOf, type TopicName } from "../../../core/record.ts";
import type { Blame } from "./blame.ts";
import type { TaskCheckpoint } from "../options.ts";
import type { StreamTask } from "../task.ts";

/** The consequences of a refusal for its task. */
export interface Verdict {
  /** Some of what was refused could be traced to no record. */
  readonly isUnclear: boolean;
  /** Nothing that a record did: the topic, or the right to write it, is missing. */
  readonly why: string | null;
  /** The topic, where it does not exist. */
  readonly missing: TopicName | null;
}

const pauseMs = { first: 500, most: 10_000 } as const;

export class Probation {
  /** Records that one checkpoint may hold; null where it is as usual. */
  recordsMax: number | null = null;
  /** The reason why the task waits. */
  why: string | null = null;
  /** The topic that must be there before the task tries again: to ask for it costs others nothing. */
  missing: TopicName | null = null;
  #dueMs = 0;
  #failures = 0;
  /** The end of the refused checkpoint, by topic: to there the task is alone. */
  readonly #until = new Map<TopicName, bigint>();

  isDue(nowMs: number): boolean {
    return nowMs >= this.#dueMs;
  }

  refused(
    { progress, units }: TaskCheckpoint,
    { isUnclear, why, missing }: Verdict,
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
    else this.putOff(nowMs);
  }

  putOff(nowMs: number): void {
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

/** Probations of a part's tasks, by partition. They outlive the tasks, which refusals end. */
export class Probations {
  readonly #all = new Map<number, Probation>();

  /** Null while the task commits with the others. */
  of({ partition }: Pick<StreamTask, "partition">): Probation | null {
    return this.#all.get(partition) ?? null;
  }

  /** The reason why the partition waits. */
  why(partition: number): string | null {
    return this.#all.get(partition)?.why ?? null;
  }

  /** Remembers the records; their task must go back to committed progress. */
  refused({ stage, sources, ...verdict }: Blame, nowMs: number): void {
    const { task, refusals } = stage;
    const progress = new Map(task.positions().map(({ topic, committed }) => [topic, committed]));
    for (const one of sources) refusals.note(one, progress.get(placeOf(one.raw).topic) ?? 0n);
    const probation = this.of(task) ?? new Probation();
    this.#all.set(task.partition, probation);
    probation.refused(stage, verdict, nowMs);
  }

  /** A checkpoint of the task alone was decided. */
  passed(stage: TaskCheckpoint): void {
    if (this.of(stage.task)?.passed(stage) === true) this.#all.delete(stage.task.partition);
  }

  /** The owner of the partitions may have lost them. */
  clear(): void {
    this.#all.clear();
  }
}
