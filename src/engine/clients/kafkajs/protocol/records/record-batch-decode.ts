// Reads a fetch of one partition straight into records: control records and aborted transactions left out (KIP-98),
// checksums verified, offsets as bigint, headers as pairs in wire order. Keys and values are slices.
import { headerNameOf } from "../../../../core/header-name.ts";
import type { Headers, RawRecord } from "../../../../core/record.ts";
import { DependencyError, MillraceError } from "../../../../core/errors.ts";
import type { AppendMark } from "../../../../core/kafka.ts";
import { decompress } from "../codecs/compression.ts";
import { crc32c } from "../codecs/crc32c.ts";

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

export interface FetchedSet {
  readonly topic: string;
  readonly partition: number;
  readonly fetchedOffset: bigint;
  readonly recordSet: Buffer;
  /** Aborted transactions that overlap the set, as the broker sends them for read_committed. */
  readonly aborted: readonly AbortedTransaction[];
}

export interface DecodedSet {
  readonly records: RawRecord[];
  /** Past the last whole batch, whatever it contained; `fetchedOffset` when there was none. */
  readonly nextOffset: bigint;
  readonly marks: AppendMark[];
}

const headBytes = 61;
const transactionalBit = 0x10;
const controlBit = 0x20;
const logAppendBit = 0x08;
const codecMask = 0x07;
const noHeaders: Headers = Object.freeze([]);

export function decodeRecordSet(set: FetchedSet): DecodedSet {
  const { recordSet } = set;
  const records: RawRecord[] = [];
  const marks: AppendMark[] = [];
  const filter = new AbortedFilter(set.aborted);
  let nextOffset = set.fetchedOffset;
  // The broker cuts the last batch where the byte limit falls; a piece is left for the next fetch.
  for (let at = 0; at + headBytes <= recordSet.length;) {
    const end = at + 12 + recordSet.readInt32BE(at + 8);
    if (end > recordSet.length) break;
    const batch = readHead(set, at, end);
    if (filter.passes(batch)) readRecords(set, batch, records);
    if (batch.lastOffset >= nextOffset) nextOffset = batch.lastOffset + 1n;
    const by = clockOf(batch);
    if (by !== null) marks.push({ nextOffset, timeMs: batch.maxTimestamp, by });
    at = end;
  }
  return { records, nextOffset, marks };
}

/** The clock that has stamped the batch; null: a transaction's records may carry event time, and its marker says when. */
function clockOf({ attributes }: BatchHead): AppendMark["by"] | null {
  if ((attributes & (logAppendBit | controlBit)) !== 0) return "broker";
  return (attributes & transactionalBit) === 0 ? "producer" : null;
}

interface BatchHead {
  readonly baseOffset: bigint;
  readonly lastOffset: bigint;
  readonly attributes: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: bigint;
  readonly count: number;
  readonly body: Buffer;
}

function readHead(set: FetchedSet, at: number, end: number): BatchHead {
  const buffer = set.recordSet;
  const baseOffset = buffer.readBigInt64BE(at);
  const where = { topic: set.topic, partition: set.partition, offset: baseOffset };
  if (buffer.readInt8(at + 16) !== 2)
    throw new MillraceError(
      "MILL_KAFKA_REFUSED",
      "the topic has records of a message format before 2; rewrite it with a newer client",
      { where },
    );
  if (crc32c(buffer, at + 21, end) !== buffer.readUInt32BE(at + 17))
    throw new DependencyError(
      "MILL_KAFKA_UNAVAILABLE",
      `a record batch of ${set.topic}-${String(set.partition)} at ${String(baseOffset)} fails its checksum`,
      { where },
    );
  return {
    baseOffset,
    lastOffset: baseOffset + BigInt(buffer.readInt32BE(at + 23)),
    attributes: buffer.readInt16BE(at + 21),
    firstTimestamp: Number(buffer.readBigInt64BE(at + 27)),
    maxTimestamp: Number(buffer.readBigInt64BE(at + 35)),
    producerId: buffer.readBigInt64BE(at + 43),
    count: buffer.readInt32BE(at + 57),
    body: buffer.subarray(at + headBytes, end),
  };
}

/** As in Java's consumer (CompletedFetch): a producer's records are aborted from `firstOffset` to its abort marker. */
class AbortedFilter {
  readonly #waiting: AbortedTransaction[];
  readonly #aborting = new Set<bigint>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = [...aborted].sort((a, b) => Number(a.firstOffset - b.firstOffset));
  }

  passes(batch: BatchHead): boolean {
    // Every transaction that has begun by now, not only the first of the list.
    while (this.#waiting[0] !== undefined && this.#waiting[0].firstOffset <= batch.lastOffset)
      this.#aborting.add((this.#waiting.shift() as AbortedTransaction).producerId);
    if ((batch.attributes & controlBit) !== 0) {
      if (isAbortMarker(batch)) this.#aborting.delete(batch.producerId);
      return false;
    }
    return (batch.attributes & transactionalBit) === 0 || !this.#aborting.has(batch.producerId);
  }
}

/** The key of a control record: version, then type, 0 for abort. Asked of control batches only. */
function isAbortMarker(batch: BatchHead): boolean {
  if (batch.count === 0) return false;
  const cursor = new ByteCursor(batch.body);
  cursor.varint();
  cursor.at++;
  cursor.varint();
  cursor.varint();
  const key = cursor.field();
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}

function readRecords(set: FetchedSet, batch: BatchHead, into: RawRecord[]): void {
  const { topic, partition, fetchedOffset } = set;
  const { baseOffset, firstTimestamp, attributes } = batch;
  const appendTime = (attributes & logAppendBit) === 0 ? null : batch.maxTimestamp;
  const codec = attributes & codecMask;
  const cursor = new ByteCursor(codec === 0 ? batch.body : decompress(codec, batch.body, set));
  // A batch may begin before the offset that was asked for.
  const skipBelow = Number(fetchedOffset - baseOffset);
  for (let i = 0; i < batch.count; i++) {
    const length = cursor.varint();
    const end = cursor.at + length;
    cursor.at++;
    const timestamp = appendTime ?? firstTimestamp + cursor.varint();
    if (appendTime !== null) cursor.varint();
    const offsetDelta = cursor.varint();
    if (offsetDelta >= skipBelow) {
      const offset = baseOffset + BigInt(offsetDelta);
      const key = cursor.field();
      const value = cursor.field();
      const headers = cursor.headers();
      into.push({ topic, partition, offset, timestamp, key, value, headers });
    }
    cursor.at = end;
  }
}

class ByteCursor {
  readonly #buffer: Buffer;
  at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  /** Zigzag; up to 53 bits, which covers lengths, deltas and milliseconds. */
  varint(): number {
    const buffer = this.#buffer;
    let byte = buffer[this.at++] as number;
    let value = byte & 0x7f;
    if (byte >= 0x80) {
      let scale = 128;
      do {
        byte = buffer[this.at++] as number;
        value += (byte & 0x7f) * scale;
        scale *= 128;
      } while (byte >= 0x80);
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  field(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const from = this.at;
    this.at = from + length;
    return this.#buffer.subarray(from, this.at);
  }

  headers(): Headers {
    const count = this.varint();
    if (count === 0) return noHeaders;
    const headers: [string, Buffer | null][] = [];
    for (let i = 0; i < count; i++) {
      const nameBytes = this.varint();
      const from = this.at;
      this.at = from + nameBytes;
      headers.push([headerNameOf(this.#buffer, from, this.at), this.field()]);
    }
    return headers;
  }
}
