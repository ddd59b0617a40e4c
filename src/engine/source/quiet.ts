// Quiet sources of a task (live only): a source that has been read to its end and has had no record for a while is waited
// for no longer, or one idle partition would keep open the windows of all. What is asserted then stays behind the wall
// clock by that while, so a record that arrives no later than that after its event time is never behind (I1, I2). The while
// itself is measured by the monotonic clock: a wall clock that is set makes no source quiet.
import { END_OF_TIME, NO_TIME, SourceTime } from "../core/event-time.ts";
import type { PlanTopic } from "../core/plan.ts";
import type { ClockReading } from "../core/ports.ts";
import type { TopicName } from "../core/record.ts";
import type { TaskInputs } from "../core/task-inputs.ts";
import type { TopicWriter } from "./writers.ts";

interface QuietClock {
  readonly idleAfterMs: number;
  /** The pipeline that writes the topic, where it is one of Millrace. */
  readonly writer: TopicWriter | undefined;
  /** The last record, the takeover (K2), or the end of an outage; by the monotonic clock. */
  sinceMs: number;
  /** The end of the log was last seen, or a record was worked; by the monotonic clock. */
  seenMs: number;
  /** An event time. */
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

/** A moment at which nothing of the topic was under way. */
interface QuietMoment {
  readonly at: ClockReading;
  /** The time to which results that come later may go back. */
  readonly leastMs: number;
}

/** So often at most an assertion moves on: each is a marker for the parts behind. */
const STEP_MS = 500;
/** An end that was out of sight for half of idleAfter, and for so long, may have kept records back. */
const OUTAGE_MS = 2_000;
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
  static of(
    inputs: TaskInputs,
    sources: readonly PlanTopic[],
    monotonicMs: number,
    writers: ReadonlyMap<TopicName, TopicWriter> = new Map(),
  ): QuietSources | null {
    const times = { sinceMs: monotonicMs, seenMs: monotonicMs, assertedMs: NO_TIME };
    const begun = { ...times, isFedHistory: false, hasWarned: false };
    const clocks = sources.flatMap(({ name, idleAfterMs }) => {
      if (idleAfterMs === undefined) return [];
      return [[name, { ...begun, idleAfterMs, writer: writers.get(name) }] as const];
    });
    return clocks.length === 0 ? null : new QuietSources(inputs, new Map(clocks));
  }

  /** Records of the topic were worked; `timeMs` is their greatest event time, NO_TIME where they have none. */
  read(topic: TopicName, timeMs: number, { wallMs, monotonicMs }: ClockReading): void {
    const clock = this.#clocks.get(topic);
    if (clock === undefined) return;
    clock.sinceMs = Math.max(clock.sinceMs, monotonicMs);
    clock.seenMs = Math.max(clock.seenMs, monotonicMs);
    if (timeMs !== NO_TIME) clock.isFedHistory = wallMs - timeMs > HISTORY_MS;
  }

  /**
   * A fetch that was sent at `sent` has found nothing behind this offset, open transactions included. Returns whether there
   * is something to assert.
   */
  seen(topic: TopicName, nextOffset: bigint, sent: ClockReading): boolean {
    const clock = this.#clocks.get(topic);
    // mistake: fetched is worked
    if (clock === undefined || !this.#inputs.isAt(topic, nextOffset)) return false;
    const moment = this.#momentOf(clock, nextOffset, sent);
    if (moment === null) return false;
    // mistake: quiet at once
    if (moment.at.monotonicMs - clock.sinceMs < clock.idleAfterMs) return false;
    // mistake: quiet is now
    const timeMs = Math.min(moment.at.wallMs - clock.idleAfterMs, moment.leastMs);
    if (!(timeMs - clock.assertedMs >= STEP_MS)) return false;
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

  /**
   * The moment of which a fetch that was sent then says that nothing was under way; null: it says so of none. Of a topic that
   * a pipeline writes it is the start of the walk that has found this end. What an outage has kept back comes behind it, so
   * the wait begins anew there.
   */
  #momentOf(clock: QuietClock, end: bigint, sent: ClockReading): QuietMoment | null {
    const { writer, idleAfterMs } = clock;
    const walk = writer?.walkTo(this.#inputs.partition, end);
    if (walk === null) return null;
    const { start: at, leastMs } = walk ?? { start: sent, leastMs: END_OF_TIME };
    // mistake: outage is quiet
    if (at.monotonicMs - clock.seenMs > Math.max(idleAfterMs / 2, OUTAGE_MS))
      clock.sinceMs = at.monotonicMs;
    clock.seenMs = Math.max(clock.seenMs, at.monotonicMs);
    return { at, leastMs };
  }
}
