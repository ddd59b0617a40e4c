// The times of a stream task beside its records: sources that are quiet, ends of a run's range, and the watermarks that it says to
// the parts behind.
import { MillraceError } from "../../../core/errors.ts";
import { instantText, NO_TIME, spanText } from "../../../core/event-time.ts";
import { isFollowed, waitsForTime } from "../../../core/flow-steps.ts";
import { readingOf, type ClockReading } from "../../../core/ports.ts";
import type { TaskInputs } from "../../../core/task-inputs.ts";
import { closingBehind } from "../../../core/time-waits.ts";
import type { TopicName } from "../../../core/record.ts";
import type { Inbox } from "../../../source/inbox.ts";
import { QuietSources, type FedHistory } from "../../../source/quiet.ts";
import { RangeEnds } from "../../../source/range-ends.ts";
import type { TopicWriter } from "../../../source/writers.ts";
import type { TaskTimes } from "../../../transform/program.ts";
import type { TaskAddress } from "../../../observe/health.ts";
import type { WorkerContext } from "../../context.ts";
import type { BoundPart } from "../bind.ts";
import { TaskMarks, type DueWatermark, type TaskMark } from "./markers.ts";

export interface TimedTask {
  readonly context: WorkerContext;
  readonly bound: BoundPart;
  readonly address: TaskAddress;
  readonly inputs: TaskInputs;
  readonly times: TaskTimes;
  readonly inbox: Inbox;
  /** The pipelines that write sources of the part. */
  readonly writers: ReadonlyMap<TopicName, TopicWriter>;
}

export class StageTimes {
  readonly #task: TimedTask;
  /** Null where every source is waited for. */
  readonly #quiet: QuietSources | null;
  /** Null where no part behind uses time. */
  readonly #marks: TaskMarks | null;
  /** Null in a live pipeline. */
  readonly #ends: RangeEnds | null;
  /** Pipelines that read what the part writes go by its times. */
  readonly #isFollowed: boolean;
  /** The moment, by the monotonic clock, of the last checkpoint for the sake of time alone. */
  #committedMs = NO_TIME;

  private constructor(task: TimedTask) {
    this.#task = task;
    const { context, bound, address, inputs, times, inbox, writers } = task;
    const { partition } = address;
    const { bounds, clock } = context;
    this.#quiet = QuietSources.of(inputs, bound.part.sources, clock.monotonic(), writers);
    this.#isFollowed = isFollowed(bound.plan) && waitsForTime(bound.part);
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

  /** Records of the topic were worked; `timeMs` is their greatest event time, NO_TIME where they have none. */
  read(topic: TopicName, timeMs: number): void {
    this.#quiet?.read(topic, timeMs, readingOf(this.#task.context.clock));
  }

  quiet(topic: TopicName, nextOffset: bigint, sent: ClockReading): void {
    if (this.#quiet?.seen(topic, nextOffset, sent) === true) this.#task.inbox.nudge();
  }

  /** Asserts, between two slices, what is known beside them. */
  assert(): void {
    for (const fed of this.#quiet?.assert() ?? []) this.#warn(fed);
    this.#ends?.assert();
  }

  #warn(fed: FedHistory): void {
    const { context, address, bound } = this.#task;
    const { topic } = fed;
    const late = closingBehind(bound.plan.parts, topic);
    const { code, message } = new MillraceError("MILL_TIME_HISTORY", historyText(fed, late));
    context.log.warn({ ...address, topic, code }, message);
  }

  /** The watermarks to say in a checkpoint that is taken now. */
  moved(isInterval: boolean, state: DueWatermark | null): readonly TaskMark[] {
    return this.#marks?.moved(isInterval, state) ?? [];
  }

  /**
   * Whether a checkpoint is due for the sake of time: watermarks are to be said, or time was asserted, and readers of what the
   * part writes must know it.
   */
  hasNews(marks: readonly TaskMark[]): boolean {
    return marks.length > 0 || this.#isDue();
  }

  #isDue(): boolean {
    const { context, inputs } = this.#task;
    const nowMs = context.clock.monotonic();
    const isInterval = nowMs - this.#committedMs >= context.limits.markerIntervalMs;
    // mistake: time of a writer not committed
    if (!this.#isFollowed || !inputs.hasAsserted || !isInterval) return false;
    this.#committedMs = nowMs;
    return true;
  }

  say(marks: readonly TaskMark[]): void {
    this.#marks?.say(marks);
  }

  close(): void {
    this.#ends?.close();
  }
}

function historyText(
  { topic, idleAfterMs, timeMs, assertedMs }: FedHistory,
  late: readonly string[],
): string {
  const since = `the newest is of ${instantText(timeMs)}, but after ${spanText(idleAfterMs)} without a record the topic counts as quiet, and its time is ${instantText(assertedMs)} now`;
  return `${topic}: ${since}: records of before that still come are late for ${late.join(", ")}. Where history is fed in, declare the topic with idleAfter: "never"`;
}
