// When the records of one partition were appended, as far as it is known: from the ends of the log as fetches see them, and,
// for what was there before the first fetch, from the marks of brokers and producers. The timestamps of records are no
// evidence by themselves: they may be event time. Pure; readings of the clock are handed in.
import type { AppendMark } from "../../core/kafka.ts";
import { addressOf, type GroupId, type TopicPartition } from "../../core/record.ts";

/** Everything below `nextOffset` was in the log at `timeMs`. */
interface LogEnd {
  readonly nextOffset: bigint;
  readonly timeMs: number;
}

export interface AppendTime {
  readonly timeMs: number;
  /** The record is at least as old: it was there when the log was first looked at, and nothing tells since when. */
  readonly isAtLeast: boolean;
}

/** Times that producers give are believed when they are no older than this; null: never. */
export type OldestClaimMs = number | null;

/** Beyond it ends that lie close in time become one, and their offsets take the time of the last. */
const ENDS_MAX = 1_024;
/** A producer's time this far from the moment of the append is event time. */
const CLAIM_OFF_MS = 10_000;

export class AppendTimes {
  #first: LogEnd | null = null;
  #ends: LogEnd[] = [];
  /** Two ends lie at least so far apart. */
  #gapMs = 0;
  /** Marks of what lay in front of the first end. */
  #marks: AppendMark[] = [];
  #hasFalseClaims = false;
  #seenMs = -Infinity;
  /** Progress never goes back, but after a failover of a database: below this offset the times are forgotten. */
  #below = 0n;
  /** Nothing but control records and gaps lies between this offset and `to`. */
  #gap = { from: 0n, to: 0n };

  /** The end of the log for committed readers, as last seen; null before. */
  get end(): bigint | null {
    return this.#ends.at(-1)?.nextOffset ?? this.#first?.nextOffset ?? null;
  }

  get seenMs(): number {
    return this.#seenMs;
  }

  /** A fetch that waits for records says that the log ends at `end` when it grows. */
  see(end: bigint, nowMs: number): void {
    this.#grow(end, nowMs, nowMs);
  }

  /** A look finds the log longer than it was at the last one: it has grown in between. */
  look(end: bigint, nowMs: number): void {
    const beforeMs = this.#seenMs;
    this.#grow(end, nowMs, beforeMs < nowMs && beforeMs > 0 ? (beforeMs + nowMs) / 2 : nowMs);
  }

  #grow(end: bigint, nowMs: number, timeMs: number): void {
    this.#seenMs = nowMs;
    this.#first ??= { nextOffset: end, timeMs: nowMs };
    const last = this.end as bigint;
    if (end < last) this.#cut(end);
    if (end <= last) return;
    const [before, latest] = this.#ends.slice(-2);
    if (latest !== undefined && latest.timeMs - (before?.timeMs ?? 0) < this.#gapMs)
      this.#ends.pop();
    this.#ends.push({ nextOffset: end, timeMs });
    if (this.#ends.length > ENDS_MAX) this.#thin();
  }

  #thin(): void {
    const [oldest, ...later] = this.#ends as [LogEnd, ...LogEnd[]];
    const latest = later.at(-1) as LogEnd;
    this.#gapMs = (2 * (latest.timeMs - oldest.timeMs)) / ENDS_MAX;
    this.#ends = [oldest];
    let keptMs = oldest.timeMs;
    for (const end of later) {
      if (end !== latest && end.timeMs - keptMs < this.#gapMs) continue;
      this.#ends.push(end);
      keptMs = end.timeMs;
    }
  }

  /** A new leader may know of less for a moment, and a topic that was made anew has less: what is known below stays. */
  #cut(end: bigint): void {
    const beyond = this.#ends.findIndex(({ nextOffset }) => nextOffset >= end);
    const { timeMs } = (beyond < 0 ? this.#first : this.#ends[beyond]) as LogEnd;
    if (beyond >= 0) this.#ends.splice(beyond);
    if (this.#first !== null && this.#first.nextOffset > end)
      this.#first = { nextOffset: end, timeMs: this.#first.timeMs };
    else this.#ends.push({ nextOffset: end, timeMs });
  }

  /** Marks of a read, in the order of offsets; what was marked before is passed over. */
  mark(marks: readonly AppendMark[]): void {
    const first = this.#first?.nextOffset ?? 0n;
    for (const mark of marks) {
      if (mark.nextOffset > first) this.#judge(mark);
      else if (mark.nextOffset > (this.#marks.at(-1)?.nextOffset ?? -1n)) this.#marks.push(mark);
    }
  }

  /** A producer's time beside the moment at which the log was seen to grow shows what its times are. */
  #judge({ by, nextOffset, timeMs }: AppendMark): void {
    if (by !== "producer") return;
    const seen = this.#ends.find((end) => end.nextOffset >= nextOffset);
    if (seen !== undefined && Math.abs(seen.timeMs - timeMs) > CLAIM_OFF_MS)
      this.#hasFalseClaims = true;
  }

  /** From `from` to `to` there are no records. */
  skip(from: bigint, to: bigint): void {
    this.#gap = { from, to };
  }

  /** The first offset from this one on at which there may be a record. */
  pass(offset: bigint): bigint {
    const { from, to } = this.#gap;
    return offset >= from && offset < to ? to : offset;
  }

  /** Of the first record at `offset` or behind it; null when the log was not seen to have one. */
  at(offset: bigint, oldestClaimMs: OldestClaimMs): AppendTime | null {
    const first = this.#first;
    const isAtLeast = offset < this.#below;
    if (first !== null && offset < first.nextOffset) {
      const mark = this.#markOf(offset);
      if (mark === undefined || !this.#isBelieved(mark, first, oldestClaimMs))
        return { timeMs: first.timeMs, isAtLeast: true };
      return { timeMs: Math.min(mark.timeMs, first.timeMs), isAtLeast };
    }
    const end = this.#ends.find(({ nextOffset }) => nextOffset > offset);
    return end === undefined ? null : { timeMs: end.timeMs, isAtLeast };
  }

  /** Whether a read from this offset on could tell more. */
  isOpen(offset: bigint): boolean {
    const isOld = this.#first !== null && offset < this.#first.nextOffset;
    return isOld && this.#markOf(offset) === undefined;
  }

  #markOf(offset: bigint): AppendMark | undefined {
    return this.#marks.find(({ nextOffset }) => nextOffset > offset);
  }

  #isBelieved({ by, timeMs }: AppendMark, first: LogEnd, oldestMs: OldestClaimMs): boolean {
    if (by === "broker") return true;
    if (oldestMs === null || this.#hasFalseClaims) return false;
    return timeMs >= oldestMs && timeMs <= first.timeMs + CLAIM_OFF_MS;
  }

  /** Nothing below the offset is asked about any more. */
  forget(below: bigint): void {
    if (below <= this.#below) return;
    this.#below = below;
    const isOver = ({ nextOffset }: LogEnd): boolean => nextOffset <= below;
    if (this.#marks[0] !== undefined && isOver(this.#marks[0]))
      this.#marks = this.#marks.filter((mark) => !isOver(mark));
    // The last end stays: it is where the log ends.
    const over = this.#ends.findIndex((end, i) => !isOver(end) || i === this.#ends.length - 1);
    if (over > 0) this.#ends.splice(0, over);
    if (this.#ends.length < ENDS_MAX / 4) this.#gapMs = 0;
  }
}

/** The times of every partition that a process looks at, for each group that reads it. */
export class LagBook {
  readonly #times = new Map<string, AppendTimes>();

  of(group: GroupId, at: TopicPartition): AppendTimes {
    const key = `${group}/${addressOf(at)}`;
    const known = this.#times.get(key) ?? new AppendTimes();
    this.#times.set(key, known);
    return known;
  }
}
