// Reads a fetch of one partition straight into records, piece by piece: control records and aborted transactions left
// out, checksums verified, offsets as bigint, headers as pairs in wire order. Keys and values are slices. A piece has a
// bounded weight, since compressed records become many times what was fetched. Where a batch cannot be read, the records
// before it come first, then the error.
import { BatchError, detailOf } from "../../../../core/errors.ts";
import type { AppendMark } from "../../../../core/kafka.ts";
import type { RawRecord, TopicPartition } from "../../../../core/record.ts";
import { AbortedFilter, type AbortedTransaction } from "./aborted-filter.ts";
import { BatchBody } from "./batch-body.ts";
import type { BatchBounds } from "./batch-bounds.ts";
import { clockOf, readHead, unreadable, type BatchHead } from "./batch-head.ts";
import { HEADER_BYTES, RECORD_BYTES_MIN, RecordCursor } from "./record-cursor.ts";

export interface FetchedSet extends TopicPartition {
  readonly fetchedOffset: bigint;
  readonly recordSet: Buffer;
  /** Aborted transactions that overlap the set, as the broker sends them for read_committed. */
  readonly aborted: readonly AbortedTransaction[];
}

export interface RecordPiece {
  readonly records: RawRecord[];
  /** The offset at which it begins, where the piece before has ended. */
  readonly fetchedOffset: bigint;
  /** Past the last batch that is done, whatever it contained, or past the last record. */
  readonly nextOffset: bigint;
  readonly marks: AppendMark[];
  /** The size of its records when they are decompressed. */
  readonly byteLength: number;
}

/** A piece ends with the record that brings it here. */
const PIECE_BYTES = 4_000_000;
/** A record as an object, beside its bytes: measured with V8 13. */
const RECORD_BYTES = 400;

interface OpenPiece {
  readonly records: RawRecord[];
  readonly marks: AppendMark[];
  byteLength: number;
  weight: number;
}

/** A batch, and how far it has been read. */
interface OpenBatch {
  readonly head: BatchHead;
  readonly body: BatchBody;
  at: number;
  done: number;
  offsetDelta: number;
}

export class RecordSet {
  readonly #set: FetchedSet;
  readonly #bounds: BatchBounds;
  readonly #filter: AbortedFilter;
  #at = 0;
  #batch: OpenBatch | null = null;
  #nextOffset: bigint;
  #failure: Error | null = null;

  constructor(set: FetchedSet, bounds: BatchBounds) {
    this.#set = set;
    this.#bounds = bounds;
    this.#filter = new AbortedFilter(set.aborted);
    this.#nextOffset = set.fetchedOffset;
  }

  /** Null at the end of the set. Throws a BatchError at a batch that cannot be read. */
  next(): RecordPiece | null {
    if (this.#failure !== null) throw this.#failure;
    const fetchedOffset = this.#nextOffset;
    const piece: OpenPiece = { records: [], marks: [], byteLength: 0, weight: 0 };
    try {
      while (piece.weight < PIECE_BYTES && this.#read(piece));
    } catch (thrown) {
      this.close();
      const error = leadingOn(thrown, this.#nextOffset);
      if (this.#nextOffset === fetchedOffset) throw error;
      this.#failure = error as Error;
    }
    const nextOffset = this.#nextOffset;
    if (nextOffset === fetchedOffset && piece.marks.length === 0) return null;
    const { records, marks, byteLength } = piece;
    return { records, marks, byteLength, fetchedOffset, nextOffset };
  }

  /** Gives the memory of a batch back. */
  close(): void {
    this.#batch?.body.close();
    this.#batch = null;
  }

  /** Reads on, at most to the end of a batch; false at the end of the set. */
  #read(piece: OpenPiece): boolean {
    this.#batch ??= this.#open(piece);
    if (this.#batch === null) return false;
    const { head } = this.#batch;
    try {
      this.#readRecords(this.#batch, piece);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw unreadable("MILL_BATCH_CORRUPT", head, error.message, error);
    }
    if (this.#batch.done === head.count) this.#finish(head, piece);
    return true;
  }

  /** The next batch with records that are wanted. */
  #open(piece: OpenPiece): OpenBatch | null {
    for (;;) {
      const head = readHead(this.#set.recordSet, this.#at, this.#set);
      if (head === null) return null;
      if (this.#passes(head)) {
        const body = new BatchBody(head, this.#bounds);
        return { head, body, at: 0, done: 0, offsetDelta: -1 };
      }
      this.#finish(head, piece);
    }
  }

  #passes(head: BatchHead): boolean {
    try {
      return this.#filter.passes(head);
    } catch (error) {
      throw unreadable("MILL_BATCH_CORRUPT", head, "a control record is none", error);
    }
  }

  #finish(head: BatchHead, { marks }: OpenPiece): void {
    this.close();
    this.#at = head.end;
    if (head.lastOffset >= this.#nextOffset) this.#nextOffset = head.lastOffset + 1n;
    const by = clockOf(head);
    if (by !== null) marks.push({ nextOffset: this.#nextOffset, timeMs: head.maxTimestamp, by });
  }

  #readRecords(batch: OpenBatch, piece: OpenPiece): void {
    const { bytes } = batch.body;
    const { head } = batch;
    if (batch.at === 0 && !isPlausible(head, bytes))
      throw new RangeError("its records do not fit in it");
    const { cursor, moved, end } = windowOf(batch, bytes);
    try {
      while (batch.done < head.count && piece.weight < PIECE_BYTES && cursor.at < end)
        this.#readRecord(cursor, batch, piece);
    } finally {
      const last = piece.records.at(-1)?.offset ?? -1n;
      if (last >= this.#nextOffset) this.#nextOffset = last + 1n;
    }
    batch.at = cursor.at + moved;
    const isDone = batch.done === head.count;
    if (isDone !== (batch.at === bytes.length))
      throw new RangeError("it has another number of records than it says");
  }

  #readRecord(cursor: RecordCursor, batch: OpenBatch, piece: OpenPiece): void {
    const { topic, partition } = this.#set;
    const { head } = batch;
    const from = cursor.at;
    cursor.enter();
    const timestampDelta = cursor.varint();
    const offsetDelta = cursor.varint();
    const offset = head.baseOffset + BigInt(offsetDelta);
    if (offsetDelta <= batch.offsetDelta || offset > head.lastOffset)
      throw new RangeError("the offsets of its records do not grow");
    let headerCount = 0;
    // A batch may begin before the offset that was asked for, and none before the end of another.
    if (offset < this.#nextOffset) cursor.at = cursor.end;
    else {
      const timestamp = head.hasAppendTime
        ? head.maxTimestamp
        : head.firstTimestamp + timestampDelta;
      const key = cursor.field();
      const value = cursor.field();
      headerCount = this.#headerCount(cursor, head);
      const headers = cursor.headers(headerCount);
      cursor.leave();
      piece.records.push({ topic, partition, offset, timestamp, key, value, headers });
    }
    batch.offsetDelta = offsetDelta;
    batch.done++;
    const byteLength = cursor.at - from + headerCount * HEADER_BYTES;
    piece.byteLength += byteLength;
    piece.weight += byteLength + RECORD_BYTES;
  }

  /** A header is two bytes, and many times that as an object. */
  #headerCount(cursor: RecordCursor, head: BatchHead): number {
    const count = cursor.headerCount();
    if (count === 0) return 0;
    const { bytesMax } = this.#bounds.of(head.at.topic, 0);
    if (count * HEADER_BYTES <= bytesMax) return count;
    const how = `${String(count)} headers of one record are more than its bound allows`;
    throw unreadable("MILL_BATCH_TOO_LARGE", head, how);
  }
}

/** Whoever passes over a batch goes on behind what was read, whatever the offsets in its head say. */
function leadingOn(error: unknown, nextOffset: bigint): unknown {
  if (!(error instanceof BatchError) || error.nextOffset >= nextOffset) return error;
  return new BatchError(error.code, detailOf(error), nextOffset + 1n, error);
}

const isPlausible = ({ count }: BatchHead, bytes: Buffer): boolean =>
  count >= 0 && count * RECORD_BYTES_MIN <= bytes.length;

/** The records that make the next piece; `moved` is the place in the batch where the cursor's bytes begin. */
function windowOf(
  { at, body }: OpenBatch,
  bytes: Buffer,
): { readonly cursor: RecordCursor; readonly moved: number; readonly end: number } {
  const end = body.isCompressed ? pieceEnd(bytes, at) : bytes.length;
  // Records of a large batch are copied: slices would keep all of it in memory.
  const isCopied = bytes.length > PIECE_BYTES && (end - at) * 2 < bytes.length;
  const moved = isCopied ? at : 0;
  const cursor = new RecordCursor(isCopied ? Buffer.from(bytes.subarray(at, end)) : bytes);
  cursor.at = at - moved;
  return { cursor, moved, end: end - moved };
}

/** The end of the records from `from` on that make a piece. */
function pieceEnd(bytes: Buffer, from: number): number {
  if (bytes.length - from <= PIECE_BYTES) return bytes.length;
  const cursor = new RecordCursor(bytes);
  let weight = 0;
  for (cursor.at = from; weight < PIECE_BYTES && !cursor.isAtEnd; weight += RECORD_BYTES) {
    const start = cursor.at;
    cursor.enter();
    cursor.at = cursor.end;
    weight += cursor.at - start;
  }
  return cursor.at;
}
