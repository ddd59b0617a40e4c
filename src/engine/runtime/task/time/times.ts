// The times of a stream task beside its records: sources that are quiet, ends of a run's range, and the watermarks that it says to
// the parts behind.
import type { TaskInputs } from "../../../core/task-inputs.ts";
import type { TopicName } from "../../../core/record.ts";
import type { Inbox } from "../../../source/inbox.ts";
import { FED_WITH_HISTORY, QuietSources } from "../../../source/quiet.ts";
import { RangeEnds } from "../../../source/range-ends.ts";
import type { TaskTimes } from "../../../transform/program.ts";
import type { TaskAddress } from "../../../observe/health.ts";
import type { WorkerContext } from "../../context.ts";
import type { BoundPart } from "../bind.ts";
import { TaskMarks, type DueWatermark, type TaskMark } from "./markers.ts";

interface TimedTask {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly address: TaskAddress;
  readonly inputs: TaskInputs;
  readonly times: TaskTimes;
  readonly inbox: Inbox;
}

export class StageTimes {
  readonly #task: TimedTask;
  /** Null where every source is waited for. */
  readonly #quiet: QuietSources | null;
  /** Null where no part behind uses time. */
  readonly #marks: TaskMarks | null;
  /** Null in a live pipeline. */
  readonly #ends: RangeEnds | null;

  private constructor(task: TimedTask) {
    this.#task = task;
    const { context, bound, address, inputs, times, inbox } = task;
    const { partition } = address;
    const { bounds, clock } = context;
    this.#quiet = QuietSources.of(inputs, bound.part.sources, clock.now());
    this.#marks = TaskMarks.of(bound, partition, times);
    const at = { part: bound.part, partition };
    this.#ends =
      bounds === undefined ? null : new RangeEnds(inputs, at, bounds, () => inbox.nudge());
  }

  /** Null where there is nothing beside the records. */
  static of(task: TimedTask): StageTimes | null {
    const made = new StageTimes(task);
    return made.#quiet === null && made.#marks === null && made.#ends === null ? null : made;
  }

  /** Records of the topic were worked. */
  read(topic: TopicName): void {
    this.#quiet?.read(topic, this.#task.context.clock.now());
  }

  quiet(topic: TopicName, nextOffset: bigint, sentMs: number): void {
    if (this.#quiet?.seen(topic, nextOffset, sentMs) === true) this.#task.inbox.nudge();
  }

  /** Asserts, between two slices, what is known beside them. */
  assert(): void {
    const { context, address } = this.#task;
    for (const topic of this.#quiet?.assert() ?? [])
      context.log.warn({ ...address, topic }, FED_WITH_HISTORY);
    this.#ends?.assert();
  }

  /** The watermarks to say in a checkpoint that is taken now. */
  moved(isInterval: boolean, state: DueWatermark | null): readonly TaskMark[] {
    return this.#marks?.moved(isInterval, state) ?? [];
  }

  say(marks: readonly TaskMark[]): void {
    this.#marks?.say(marks);
  }

  close(): void {
    this.#ends?.close();
  }
}
