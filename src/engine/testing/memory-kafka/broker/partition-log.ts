// A partition: records and control markers at consecutive offsets, and the part that a committed reader may see.
// Producers are unknown here beyond the transaction that a record belongs to.
import type { AppendMark, RangeRead } from "../../../core/kafka.ts";
import { BatchError } from "../../../core/errors.ts";
import {
  addressOf,
  type OutRecord,
  type RawRecord,
  type TopicPartition,
} from "../../../core/record.ts";

/** The one fact that decides what readers see. Its owner sets the status once. */
export interface Transaction {
  status: "open" | "committed" | "aborted";
}

interface PartitionEntry {
  /** Null: a control marker, or compaction took it. */
  readonly record: RawRecord | null;
  readonly byteLength: number;
  readonly transaction: Transaction | null;
  /** Null: the marker of its transaction has the time. */
  readonly stamp: Stamp | null;
  /** Thrown to who would read it. */
  readonly failure?: BatchError;
}

/** The time of an entry, and whose clock it is. */
type Stamp = Pick<AppendMark, "timeMs" | "by">;

export interface ReadLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

export interface LogSlice extends RangeRead {
  readonly byteLength: number;
  readonly marks: readonly AppendMark[];
}

/** Framing of a record beside key, value and headers: about what a record batch spends. */
const RECORD_OVERHEAD_BYTES = 20;

export class PartitionLog {
  readonly at: TopicPartition;
  #entries: PartitionEntry[] = [];
  #start = 0n;
  /** First offset of each transaction whose marker is not here yet. */
  readonly #undecided = new Map<Transaction, bigint>();

  constructor(at: TopicPartition) {
    this.at = at;
  }

  /** The first offset there is. */
  get start(): bigint {
    return this.#start;
  }
  get highWatermark(): bigint {
    return this.#start + BigInt(this.#entries.length);
  }
  /** Committed readers read below this: the first offset of the oldest transaction without its marker. */
  get lastStableOffset(): bigint {
    let stable = this.highWatermark;
    for (const first of this.#undecided.values()) if (first < stable) stable = first;
    return stable < this.#start ? this.#start : stable;
  }

  /** `by` is whose clock the record's timestamp is. */
  append(record: OutRecord, transaction: Transaction | null, by: AppendMark["by"]): void {
    const offset = this.highWatermark;
    if (transaction !== null && !this.#undecided.has(transaction))
      this.#undecided.set(transaction, offset);
    this.#entries.push({
      record: Object.freeze({ ...copyOf(record), ...this.at, offset }),
      byteLength: byteLengthOf(record),
      transaction,
      stamp: transaction !== null && by === "producer" ? null : { timeMs: record.timestamp, by },
    });
  }

  /** Writes the control marker, which takes an offset like a record. */
  mark(transaction: Transaction, timeMs: number): void {
    if (!this.#undecided.delete(transaction)) return;
    const stamp = { timeMs, by: "broker" } as const;
    this.#entries.push({ record: null, byteLength: 0, transaction, stamp });
  }

  /** The records that a committed reader gets from `fromOffset`, which must be within the log. */
  read(fromOffset: bigint, limits: ReadLimits): LogSlice {
    const records: RawRecord[] = [];
    const marks: AppendMark[] = [];
    const end = this.lastStableOffset;
    let byteLength = 0;
    let nextOffset = fromOffset;
    for (; nextOffset < end; nextOffset++) {
      const entry = this.#entries[Number(nextOffset - this.#start)] as PartitionEntry;
      if (entry.failure !== undefined) {
        if (nextOffset === fromOffset) throw entry.failure;
        break;
      }
      if (entry.record === null || entry.transaction?.status === "aborted") {
        noteMark(marks, nextOffset, entry.stamp);
        continue;
      }
      const isFull = byteLength + entry.byteLength > limits.bytesMax;
      // A record larger than the limit is still read, alone, or it would block the partition (KIP-74).
      if (records.length >= limits.recordsMax || (records.length > 0 && isFull)) break;
      records.push(entry.record);
      noteMark(marks, nextOffset, entry.stamp);
      byteLength += entry.byteLength;
    }
    return { records, nextOffset, byteLength, marks };
  }

  /** The record at this offset becomes a batch that nobody can read. */
  spoil(offset: bigint, code: BatchError["code"]): void {
    const { topic, partition } = this.at;
    const offsets = `offsets ${String(offset)} to ${String(offset)}`;
    const detail = `${addressOf(this.at)}, ${offsets}: it was spoilt`;
    const failure = new BatchError(code, detail, offset + 1n, {
      where: { topic, partition, offset },
    });
    const index = Number(offset - this.#start);
    this.#entries[index] = { ...(this.#entries[index] as PartitionEntry), failure };
  }

  /** Every record that is not a marker, also aborted and undecided ones. */
  everything(): readonly RawRecord[] {
    return this.#entries.flatMap(({ record }) => (record === null ? [] : [record]));
  }

  offsetByTime(timestampMs: number): bigint {
    const found = this.everything().find((record) => record.timestamp >= timestampMs);
    return found?.offset ?? this.highWatermark;
  }

  /**
   * Compacts the log below `end` as the log cleaner does: the newest committed record of each key stays, unless it is a
   * tombstone from before `tombstonesFromMs`. Offsets stay. Never beyond the last stable offset.
   */
  compact(end: bigint, tombstonesFromMs: number): void {
    const stable = this.lastStableOffset;
    const cleaned = Number((end < stable ? end : stable) - this.#start);
    const newest = this.#newestBelow(cleaned);
    for (let i = 0; i < cleaned; i++) {
      const entry = this.#entries[i] as PartitionEntry;
      const { record } = entry;
      if (record === null) continue;
      const isOver = record.value === null && record.timestamp < tombstonesFromMs;
      if (newest.get(nameOf(record)) !== i || isOver) this.#entries[i] = { ...entry, record: null };
    }
  }

  /** The index of the newest committed record of each key. */
  #newestBelow(end: number): Map<string | null, number> {
    const newest = new Map<string | null, number>();
    for (let i = 0; i < end; i++) {
      const { record, transaction } = this.#entries[i] as PartitionEntry;
      const isCommitted = record !== null && transaction?.status !== "aborted";
      if (isCommitted && record.key !== null) newest.set(nameOf(record), i);
    }
    return newest;
  }

  /** Deletes records below the offset; never beyond the high watermark. */
  deleteBelow(nextOffset: bigint): void {
    const to = nextOffset < this.highWatermark ? nextOffset : this.highWatermark;
    if (to <= this.#start) return;
    this.#entries = this.#entries.slice(Number(to - this.#start));
    this.#start = to;
  }
}

/** Entries of one time in a row are one mark, as those of one batch are. */
function noteMark(marks: AppendMark[], offset: bigint, stamp: Stamp | null): void {
  if (stamp === null) return;
  const last = marks.at(-1);
  const isMore = last?.by === stamp.by && last.timeMs === stamp.timeMs;
  if (isMore) marks.pop();
  marks.push({ ...stamp, nextOffset: offset + 1n });
}

const nameOf = ({ key }: RawRecord): string | null => key?.toString("latin1") ?? null;

const copyOfBytes = (bytes: Buffer | null): Buffer | null =>
  bytes === null ? null : Buffer.from(bytes);

/** As if it had travelled: the sender may use its buffers again. */
const copyOf = (record: OutRecord): Omit<OutRecord, "source"> => ({
  topic: record.topic,
  partition: record.partition,
  timestamp: record.timestamp,
  key: copyOfBytes(record.key),
  value: copyOfBytes(record.value),
  headers: record.headers.map(([name, value]) => [name, copyOfBytes(value)] as const),
});

/** About what the record takes in a fetch. */
export function byteLengthOf(record: OutRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of record.headers) bytes += name.length + (value?.length ?? 0);
  return bytes;
}
