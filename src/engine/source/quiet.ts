// Quiet sources of a task (live only): a source that has been read to its end and has had no record for a while is waited
// for no longer, or one idle partition would keep open the windows of all. What is asserted then stays behind the wall
// clock by that while, so a record that arrives no later than that after its event time is never behind (I1, I2).
import { NO_TIME } from "../core/event-time.ts";
import type { PlanTopic } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import type { TaskInputs } from "../core/task-inputs.ts";

interface QuietClock {
  readonly idleAfterMs: number;
  /** The last record, or the takeover (K2). */
  sinceMs: number;
  assertedMs: number;
}

/** So often at most an assertion moves on: each is a marker for the parts behind. */
const STEP_MS = 500;
/** A source whose times are so far behind the wall clock is fed with history. */
const HISTORY_MS = 86_400_000;
export const FED_WITH_HISTORY =
  'the topic is quiet and its times lie far behind the wall clock: records of then that still come are late for windows; say idleAfter: "never" where history is fed in';

export class QuietSources {
  readonly #inputs: TaskInputs;
  readonly #clocks: ReadonlyMap<TopicName, QuietClock>;
  /** Times that are asserted with the next turn. */
  readonly #asserted = new Map<TopicName, number>();

  private constructor(inputs: TaskInputs, clocks: ReadonlyMap<TopicName, QuietClock>) {
    this.#inputs = inputs;
    this.#clocks = clocks;
  }

  /** Null where every source is waited for. */
  static of(inputs: TaskInputs, sources: readonly PlanTopic[], nowMs: number): QuietSources | null {
    const clocks = sources.flatMap(({ name, idleAfterMs }) => {
      if (idleAfterMs === undefined) return [];
      return [[name, { idleAfterMs, sinceMs: nowMs, assertedMs: NO_TIME }] as const];
    });
    return clocks.length === 0 ? null : new QuietSources(inputs, new Map(clocks));
  }

  /** Records of the topic were worked. */
  read(topic: TopicName, nowMs: number): void {
    const clock = this.#clocks.get(topic);
    if (clock !== undefined) clock.sinceMs = Math.max(clock.sinceMs, nowMs);
  }

  /**
   * A fetch that was sent at `sentMs` has found nothing behind this offset, open transactions included. Returns whether there
   * is something to assert.
   */
  seen(topic: TopicName, nextOffset: bigint, sentMs: number): boolean {
    const clock = this.#clocks.get(topic);
    // mistake: fetched is worked
    if (clock === undefined || !this.#inputs.isAt(topic, nextOffset)) return false;
    // mistake: quiet at once
    if (sentMs - clock.sinceMs < clock.idleAfterMs) return false;
    // mistake: quiet is now
    const timeMs = sentMs - clock.idleAfterMs;
    if (timeMs - clock.assertedMs < STEP_MS) return false;
    clock.assertedMs = timeMs;
    this.#asserted.set(topic, timeMs);
    return true;
  }

  /**
   * Asserts what was seen: between two slices, so that the times of a batch stay what they are. Returns topics whose records
   * come from long ago: their times go on by the wall clock from here.
   */
  assert(): readonly TopicName[] {
    const fed: TopicName[] = [];
    for (const [topic, timeMs] of this.#asserted) {
      const before = this.#inputs.time(topic)?.watermark ?? NO_TIME;
      this.#inputs.assertTime(topic, timeMs);
      if (before !== NO_TIME && timeMs - before > HISTORY_MS) fed.push(topic);
    }
    this.#asserted.clear();
    return fed;
  }
}
