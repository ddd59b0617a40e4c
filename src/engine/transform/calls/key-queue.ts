// A queued key in its store: one entry for the key (where its queue begins and ends, how often its head was called
// for, when that is due again), and one for each record of the queue, so that a record that joins writes itself alone.
import { MillraceError } from "../../core/errors.ts";
import type { DecodedRecord } from "../../core/outcome.ts";
import type { RetryPolicy } from "../../core/plan.ts";
import type { RawRecord } from "../../core/record.ts";
import type { Redriven } from "../../core/redrive.ts";
import type { DueOfUndated, StateKey, StoreView } from "../../core/state.ts";
import { stateKey } from "../operator.ts";
import type { Tried } from "./policy.ts";

/** The stored entry of a queued key. */
export interface KeyQueue {
  /** Numbers of its records: the first, and the next to come. */
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  /** Calls that the first record has had, and when the first of them had failed (epoch ms). */
  readonly times: number;
  readonly firstMs: number;
  readonly dueMs: number;
}

type HeaderPair = readonly [name: string, value: Uint8Array | null];

/** A record as it was at the step, and as it lies in its topic. */
export interface QueuedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestamp: number;
  readonly key: Uint8Array;
  readonly bytes: Uint8Array | null;
  readonly headers: readonly HeaderPair[];
  readonly keyValue: unknown;
  /** Left out of what never failed before. */
  readonly redriven?: Redriven;
  readonly eventTime: number;
  /** Its origin time less its event time; left out for 0. */
  readonly ageMs?: number;
  /** Left out of what has an event time of its own. */
  readonly isUntimed?: true;
  /** At the step; left out of a tombstone, and where the bytes say it. */
  readonly value?: unknown;
  /** The value is that of the bytes. */
  readonly isCarried?: true;
  /** The id of the structure of a value that the code has made. */
  readonly shape?: string;
  /** Its origin as bytes that sort; left out where nobody sorts. */
  readonly origin?: Uint8Array;
}

/** The form in which a step keeps values: the bytes of their records, or the values, with the id of their structure. */
export interface Keeping {
  readonly isCarried: boolean;
  /** Null where nobody compares structures. */
  shapeOf(value: unknown): string | null;
  decode(record: RawRecord): unknown;
}

/** Without bytes to decode and structures to compare. */
export const plainKeeping: Keeping = {
  isCarried: false,
  shapeOf: () => null,
  decode: () => undefined,
};

/** A record at a step. */
export interface AtStep {
  readonly record: DecodedRecord;
  /** Undefined for a tombstone. */
  readonly value: unknown;
}

/** A kept record needs its writer's schema, or code that fits its structure, before it is read. */
export interface Kept {
  readonly raw: Pick<RawRecord, "topic" | "value"> | null;
  readonly shape: string | null;
}

/** The record of this number; null where there is none. */
export function keptAt(view: StoreView, key: Buffer, number: number): Kept | null {
  const queued = (view.get(placeOfRecord(key, number))?.value ?? null) as QueuedRecord | null;
  if (queued === null) return null;
  const { topic, bytes, isCarried, shape = null } = queued;
  const isToDecode = isCarried === true && bytes !== null;
  return { raw: isToDecode ? { topic, value: bufferOf(bytes) } : null, shape };
}

/** The key's queue has no room for one more: the record must wait in front of the step. */
export class NoRoom extends Error {}
/** No store takes it: its calls are repeated in place. */
export class TooLargeToQueue extends Error {}

export const ofRoom = (error: unknown): NoRoom | TooLargeToQueue | null =>
  error instanceof NoRoom || error instanceof TooLargeToQueue ? error : null;

/** First bytes of places: k, r and t. */
const KEY = 0x6b;
const RECORD = 0x72;
const TOTALS = 0x74;

/** The queues of a store together, which a task would otherwise have to read whole. */
export interface QueueTotals {
  readonly keys: number;
  readonly records: number;
}

/** The state key of the totals. Whatever changes a queue changes them too, so it needs them in memory. */
export const TOTALS_PLACE: StateKey = stateKey(Buffer.of(TOTALS));

/** Null: nothing waits, or 0.1.0 has written the store. */
export const totalsIn = (view: StoreView): QueueTotals | null =>
  (view.get(TOTALS_PLACE)?.value ?? null) as QueueTotals | null;

export function putTotals(view: StoreView, value: QueueTotals): void {
  const isNone = value.keys === 0;
  view.set(TOTALS_PLACE, isNone ? null : { value, timestamp: 0, dueMs: null });
}

/** The state key of a queue's entry. */
export const placeOfKey = (key: Buffer): StateKey => stateKey(Buffer.concat([Buffer.of(KEY), key]));

/** The state key of a queue's record with this number. */
export function placeOfRecord(key: Buffer, number: number): StateKey {
  const head = Buffer.allocUnsafe(9);
  head[0] = RECORD;
  head.writeBigUInt64BE(BigInt(number), 1);
  return stateKey(Buffer.concat([head, key]));
}

/** The key whose queue has its entry at this state key; null for the state key of a record. */
export const keyAt = (place: Buffer): Buffer | null =>
  place[0] === KEY ? place.subarray(1) : null;

export const queueOf = (view: StoreView, key: Buffer): KeyQueue | null =>
  (view.get(placeOfKey(key))?.value ?? null) as KeyQueue | null;

/** A key is due when its head is called for again, by the wall clock. */
const put = (view: StoreView, key: Buffer, queue: KeyQueue | null): void => {
  const before = sizesOf(queueOf(view, key));
  const after = sizesOf(queue);
  if (before.keys !== after.keys || before.records !== after.records) {
    const { keys, records } = totalsIn(view) ?? { keys: 0, records: 0 };
    putTotals(view, {
      keys: keys + after.keys - before.keys,
      records: records + after.records - before.records,
    });
  }
  const { firstMs: timestamp = 0, dueMs = null } = queue ?? {};
  view.set(placeOfKey(key), queue === null ? null : { value: queue, timestamp, dueMs });
};

const sizesOf = (queue: KeyQueue | null): QueueTotals =>
  queue === null ? { keys: 0, records: 0 } : { keys: 1, records: queue.to - queue.from };

/** Of a queue that 0.1.0 has written. */
export const dueOfQueue: DueOfUndated = (place, entry) =>
  place[0] === KEY && !entry.isDeleted ? (entry.value() as KeyQueue).dueMs : null;

/** The place where records of a step wait, and the form in which they are kept. */
export interface Shelf {
  readonly view: StoreView;
  readonly keeping: Keeping;
}

/** The record's key begins to wait. Throws MILL_RECORD_TOO_LARGE for one that no store takes. */
export function openQueue(
  { view, keeping }: Shelf,
  at: AtStep,
  { tried, dueMs }: { readonly tried: Tried; readonly dueMs: number },
): void {
  const key = at.record.raw.key as Buffer;
  write({ view, keeping }, at, 0);
  put(view, key, { from: 0, to: 1, bytes: sizeOf(at.record), ...tried, dueMs });
}

/** The record waits behind those of its key. Throws NoRoom, or MILL_RECORD_TOO_LARGE. */
export function join({ view, keeping }: Shelf, at: AtStep, { runMax }: RetryPolicy): void {
  const key = at.record.raw.key as Buffer;
  const queue = queueOf(view, key) as KeyQueue;
  const { from, to } = queue;
  const bytes = queue.bytes + sizeOf(at.record);
  if (to - from >= runMax.records || bytes > runMax.bytes) throw new NoRoom("the run is full");
  write({ view, keeping }, at, to);
  put(view, key, { ...queue, to: to + 1, bytes });
}

/** Its head goes on, and the next is due at once. */
export function takeHead({ view, keeping }: Shelf, key: Buffer, nowMs: number): void {
  const queue = queueOf(view, key) as KeyQueue;
  const { from, to } = queue;
  const bytes = queue.bytes - sizeOf(recordIn({ view, keeping }, key, from).record);
  view.set(placeOfRecord(key, from), null);
  if (from + 1 === to) put(view, key, null);
  else put(view, key, { from: from + 1, to, bytes, times: 0, firstMs: nowMs, dueMs: nowMs });
}

/** Its head failed once more. */
export function putOff(view: StoreView, key: Buffer, tried: Tried, dueMs: number): void {
  put(view, key, { ...(queueOf(view, key) as KeyQueue), ...tried, dueMs });
}

/** All records are given up: returns them in order, and the store forgets them. */
export function takeAll({ view, keeping }: Shelf, key: Buffer): DecodedRecord[] {
  const { from, to } = queueOf(view, key) as KeyQueue;
  const records: DecodedRecord[] = [];
  for (let number = from; number < to; number++) {
    records.push(recordIn({ view, keeping }, key, number).record);
    view.set(placeOfRecord(key, number), null);
  }
  put(view, key, null);
  return records;
}

function sizeOf({ raw: { key, value, headers } }: DecodedRecord): number {
  const pairs = headers.reduce((sum, [name, text]) => sum + name.length + (text?.length ?? 0), 0);
  return (key?.length ?? 0) + (value?.length ?? 0) + pairs;
}

/** Slices of a fetch would keep all of it alive: what is kept is copied. */
function write({ view, keeping }: Shelf, at: AtStep, number: number): void {
  const { key } = at.record.raw;
  const { timestamp } = at.record.context;
  const value = queuedOf(keeping, at);
  view.set(placeOfRecord(key as Buffer, number), { value, timestamp, dueMs: null });
}

/** A record with a key in the form in which stores keep it. */
export function queuedOf(keeping: Keeping, { record, value }: AtStep): QueuedRecord {
  const { raw, context, originMs, isUntimed } = record;
  const key = Buffer.from(raw.key as Buffer);
  const { topic, partition, offset, timestamp } = raw;
  return {
    ...{ topic, partition, offset, timestamp, key },
    bytes: raw.value === null ? null : Buffer.from(raw.value),
    headers: raw.headers.map(([name, text]) => [name, text === null ? null : Buffer.from(text)]),
    keyValue: context.key,
    eventTime: context.timestamp,
    ...(originMs === context.timestamp ? {} : { ageMs: originMs - context.timestamp }),
    ...(isUntimed === undefined ? {} : { isUntimed }),
    ...(raw.redriven === undefined ? {} : { redriven: raw.redriven }),
    ...(value === undefined ? {} : keptOf(keeping, value)),
  };
}

function keptOf(keeping: Keeping, value: unknown): Partial<QueuedRecord> {
  if (keeping.isCarried) return { isCarried: true };
  const shape = keeping.shapeOf(value);
  return shape === null ? { value } : { value, shape };
}

/** The record of this number, as it came to the step. */
export function recordIn({ view, keeping }: Shelf, key: Buffer, number: number): AtStep {
  const entry = (view.get(placeOfRecord(key, number))?.value ?? null) as QueuedRecord | null;
  if (entry === null) throw new MillraceError("MILL_STATE_ENTRY", "a queued record is not there");
  return recordOf(keeping, entry);
}

/** The record, as it came to the step. */
export function recordOf(keeping: Keeping, entry: QueuedRecord): AtStep {
  const { topic, partition, offset, timestamp, keyValue, eventTime } = entry;
  const headers = entry.headers.map(
    ([name, text]) => [name, text === null ? null : bufferOf(text)] as const,
  );
  const bytes = entry.bytes === null ? null : bufferOf(entry.bytes);
  const raw = {
    topic,
    partition,
    offset,
    timestamp,
    key: bufferOf(entry.key),
    value: bytes,
    headers,
    ...(entry.redriven === undefined ? {} : { redriven: entry.redriven }),
  };
  const context = { topic, partition, offset, headers, key: keyValue, timestamp: eventTime };
  const value = entry.isCarried === true ? keeping.decode(raw) : entry.value;
  const untimed = entry.isUntimed === true ? { isUntimed: true as const } : {};
  const originMs = eventTime + (entry.ageMs ?? 0);
  return { record: { raw, value, context, originMs, ...untimed }, value };
}

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
