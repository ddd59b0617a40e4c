// Quiet sources of a task (live only): a source that has been read to its end and has had no record for a while is waited
// for no longer, or one idle partition would keep open the windows of all. What is asserted then stays behind the wall
// clock by that while, so a record that arrives no later than that after its event time is never behind (I1, I2).
import { NO_TIME, SourceTime } from "../core/event-time.ts";
import type { PlanTopic } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
import type { TaskInputs } from "../core/task-inputs.ts";

interface QuietClock {
  readonly idleAfterMs: number;
  /** The last record, or the takeover (K2). */
  sinceMs: number;
  assertedMs: number;
  /** Records that were read last lay far behind the wall clock. */
  isFedHistory: boolean;
  hasWarned: boolean;
}

/** A source into which history is fed while it counts as quiet. */
export interface FedHistory {
  readonly topic: TopicName;
  readonly idleAfterMs: number;
  /** The greatest event time that was read from it. */
  readonly timeMs: number;
  /** The time that it has by the wall clock. */
  readonly assertedMs: number;
}

/** So often at most an assertion moves on: each is a marker for the parts behind. */
const STEP_MS = 500;
/** Records whose times are so far behind the wall clock are history. */
const HISTORY_MS = 86_400_000;

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
    const begun = { sinceMs: nowMs, assertedMs: NO_TIME, isFedHistory: false, hasWarned: false };
    const clocks = sources.flatMap(({ name, idleAfterMs }) =>
      idleAfterMs === undefined ? [] : [[name, { ...begun, idleAfterMs }] as const],
    );
    return clocks.length === 0 ? null : new QuietSources(inputs, new Map(clocks));
  }

  /** Records of the topic were worked; `timeMs` is their greatest event time, NO_TIME where they have none. */
  read(topic: TopicName, timeMs: number, nowMs: number): void {
    const clock = this.#clocks.get(topic);
    if (clock === undefined) return;
    clock.sinceMs = Math.max(clock.sinceMs, nowMs);
    if (timeMs !== NO_TIME) clock.isFedHistory = nowMs - timeMs > HISTORY_MS;
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
   * Asserts what was seen: between two slices, so that the times of a batch stay what they are. Returns, once each, sources into
   * which history is fed: their times go on by the wall clock meanwhile.
   */
  assert(): readonly FedHistory[] {
    for (const [topic, timeMs] of this.#asserted) this.#inputs.assertTime(topic, timeMs);
    this.#asserted.clear();
    const fed: FedHistory[] = [];
    for (const [topic, clock] of this.#clocks) {
      const time = clock.isFedHistory && !clock.hasWarned ? this.#inputs.time(topic) : null;
      if (!(time instanceof SourceTime) || time.watermark - time.time <= HISTORY_MS) continue;
      clock.hasWarned = true;
      const { idleAfterMs } = clock;
      fed.push({ topic, idleAfterMs, timeMs: time.time, assertedMs: time.watermark });
    }
    return fed;
  }
}
