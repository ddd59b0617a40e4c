// The buffers of a stream join in its store: an entry for each key, side and span of time (a bucket), which is a list in
// chunks. A bucket is as wide as the span in which a record has its partners, so these lie in two of them at most. The first
// chunk says how many there are; a chunk that another one is behind is full. No chunk is deleted before its bucket is over.
import {
  SIDE_NAMES,
  type BufferChunk,
  type BufferedRecord,
  type JoinSide,
} from "../../core/join-buffer.ts";
import type { StateEntry, StateKey, StoreView } from "../../core/state.ts";
import { orderedText } from "../../core/ordered-text.ts";
import { MadeKey } from "../operator.ts";

const HEAD_BYTES = 13;

/** A record that joins a list writes at most so much anew, or itself where it is larger. */
const CHUNK_RECORDS_MAX = 32;
const CHUNK_BYTES_MAX = 65_536;

/** A side of a join, as its records wait for the other one. */
export interface SideRules {
  readonly side: JoinSide;
  /** Its records are emitted alone when they have found no partner. */
  readonly isOuter: boolean;
  /** Partners are so much older at most, and so much newer. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly graceMs: number;
}

/** The list of a key's records of one side whose times lie in one bucket. */
export interface JoinBucket {
  readonly side: JoinSide;
  readonly startMs: number;
  readonly key: Buffer;
  /** The key of its first chunk, where it was made already. */
  readonly first?: StateKey;
}

/** The buckets of a record: its own, whose first chunk names it, and those in which its partners lie. */
export class RecordBuckets implements StateKey {
  readonly own: JoinBucket;
  readonly others: readonly JoinBucket[];

  constructor(key: Buffer, timeMs: number, rules: SideRules) {
    const { side, beforeMs, afterMs } = rules;
    const width = widthOf(rules);
    const text = key.toString("latin1");
    const bucketAt = (of: JoinSide, startMs: number): JoinBucket => {
      return { side: of, startMs, key, first: keyOfText(of, startMs, 0, text) };
    };
    const others: JoinBucket[] = [];
    for (const startMs of startsBetween(width, timeMs - beforeMs, timeMs + afterMs))
      others.push(bucketAt(side === 0 ? 1 : 0, startMs));
    this.own = bucketAt(side, Math.max(0, Math.floor(timeMs / width) * width));
    this.others = others;
  }

  get id(): string {
    return keyIn(this.own, 0).id;
  }

  get bytes(): Buffer {
    return keyIn(this.own, 0).bytes;
  }
}

/** As `chunkKey`, of a chunk whose key may be at hand. */
export const keyIn = (bucket: JoinBucket, chunk: number): StateKey =>
  chunk === 0 && bucket.first !== undefined ? bucket.first : chunkKey(bucket, chunk);

export const widthOf = ({ beforeMs, afterMs }: Pick<SideRules, "beforeMs" | "afterMs">): number =>
  beforeMs + afterMs + 1;

/** The buckets between two times, the first one first. Nothing lies before the epoch. */
export function* startsBetween(widthMs: number, fromMs: number, toMs: number): Iterable<number> {
  const first = Math.max(0, Math.floor(fromMs / widthMs) * widthMs);
  for (let startMs = first; startMs <= toMs; startMs += widthMs) yield startMs;
}

/** The key of a chunk: times come first, so that what is due at one time is worked in their order. */
export const chunkKey = ({ side, startMs, key }: JoinBucket, chunk: number): StateKey =>
  keyOfText(side, startMs, chunk, key.toString("latin1"));

const keyOfText = (side: JoinSide, startMs: number, chunk: number, text: string): StateKey =>
  new MadeKey(orderedText(startMs) + (SIDES[side] + chunkText(chunk)) + text, startMs);

const SIDES = ["\0", "\x01"] as const;

/** Its number in 4 bytes, big-endian. */
function chunkText(chunk: number): string {
  if (chunk === 0) return "\0\0\0\0";
  const bytes = [chunk >>> 24, chunk >>> 16, chunk >>> 8, chunk].map((byte) => byte & 0xff);
  return String.fromCharCode(...bytes);
}

/** The bucket of a chunk's key. */
export const bucketOf = ({ bytes }: StateKey): JoinBucket => ({
  side: bytes[8] === 0 ? 0 : 1,
  startMs: Number(bytes.readBigUInt64BE()),
  key: bytes.subarray(HEAD_BYTES),
});

/** Whether a chunk with this key is one of a record key's. */
export const isChunkOf = (entry: Buffer, key: Buffer): boolean =>
  entry.length === HEAD_BYTES + key.length && entry.subarray(HEAD_BYTES).equals(key);

const chunkIn = (entry: StateEntry | null): BufferChunk | null =>
  (entry?.value ?? null) as BufferChunk | null;

/** The number of a bucket's chunks; 0: nothing lies there. */
export const chunksOf = (view: StoreView, bucket: JoinBucket): number =>
  chunkIn(view.get(keyIn(bucket, 0)))?.chunks ?? 0;

/** The last ms at which a record of that time may still find a partner. */
export const lastPartnerMs = ({ afterMs, graceMs }: SideRules, timeMs: number): number =>
  timeMs + afterMs + graceMs;

/** An entry is due with the first of its records that will be emitted alone, at the latest with the end of its bucket. */
export function entryOf(rules: SideRules, { startMs }: JoinBucket, chunk: BufferChunk): StateEntry {
  const endMs = startMs + widthOf(rules) - 1;
  let [dueMs, timestamp] = [lastPartnerMs(rules, endMs), startMs];
  for (const record of chunk.records) {
    timestamp = Math.max(timestamp, record.timeMs);
    if (isAlone(rules, record)) dueMs = Math.min(dueMs, lastPartnerMs(rules, record.timeMs));
  }
  return { value: chunk, timestamp, dueMs };
}

/** Whether a record is emitted when nothing has come for it. */
export const isAlone = ({ isOuter }: SideRules, { isMatched }: BufferedRecord): boolean =>
  isOuter && !isMatched;

/** Puts a record behind those of its bucket. */
export function append(
  view: StoreView,
  rules: SideRules,
  bucket: JoinBucket,
  record: BufferedRecord,
): void {
  const put = (at: number, chunk: BufferChunk): void =>
    view.set(keyIn(bucket, at), entryOf(rules, bucket, chunk));
  const side = SIDE_NAMES[rules.side];
  const first = chunkIn(view.get(keyIn(bucket, 0)));
  if (first === null) return put(0, { side, chunks: 1, records: [record] });
  const lastAt = first.chunks - 1;
  const last = chunkIn(view.get(keyIn(bucket, lastAt))) ?? { side, chunks: 1, records: [] };
  if (hasRoom(last, record)) return put(lastAt, { ...last, records: [...last.records, record] });
  // mistake: chunk forgotten
  put(0, { ...first, chunks: first.chunks + 1 });
  view.add(chunkKey(bucket, lastAt + 1));
  put(lastAt + 1, { side, chunks: 1, records: [record] });
}

function hasRoom({ records }: BufferChunk, { bytes }: BufferedRecord): boolean {
  if (records.length === 0) return true;
  const size = records.reduce((sum, one) => sum + one.bytes.length, bytes.length);
  return records.length < CHUNK_RECORDS_MAX && size <= CHUNK_BYTES_MAX;
}

/** The records of a bucket whose times lie between the two. Where it is asked, they have found a partner now. */
export function partnersIn(
  view: StoreView,
  rules: SideRules,
  bucket: JoinBucket,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): readonly BufferedRecord[] {
  const found: BufferedRecord[] = [];
  const isPartner = ({ timeMs }: BufferedRecord): boolean => timeMs >= fromMs && timeMs <= toMs;
  const chunks = chunksOf(view, bucket);
  for (let at = 0; at < chunks; at++) {
    const key = keyIn(bucket, at);
    const chunk = chunkIn(view.get(key));
    const partners = chunk?.records.filter(isPartner) ?? [];
    found.push(...partners);
    if (chunk === null || !partners.some((one) => isAlone(rules, one))) continue;
    // mistake: partner not noted
    const records = chunk.records.map((one) => (isPartner(one) ? one.matched() : one));
    view.set(key, entryOf(rules, bucket, { ...chunk, records }));
  }
  return found;
}

/** The last ms at which a record of the bucket may still find a partner. */
export const endDueMs = (rules: SideRules, { startMs }: JoinBucket): number =>
  lastPartnerMs(rules, startMs + widthOf(rules) - 1);

/** The spans of a join, as its left record sees them. */
interface JoinSpans extends Pick<SideRules, "beforeMs" | "afterMs" | "graceMs"> {
  readonly kind: "join" | "left-join" | "outer-join";
}

export function sidesOf({ kind, beforeMs, afterMs, graceMs }: JoinSpans): [SideRules, SideRules] {
  const left: SideRules = { side: 0, isOuter: kind !== "join", beforeMs, afterMs, graceMs };
  const right: SideRules = {
    side: 1,
    isOuter: kind === "outer-join",
    // As the right record sees it.
    beforeMs: afterMs,
    afterMs: beforeMs,
    graceMs,
  };
  return [left, right];
}
