// The entries of a store of queued keys as they must be: whoever may write its changelog may write anything there, and a queue of
// wrong numbers or a record without its parts would end the task in the middle of its work.
import {
  anything,
  fields,
  listOf,
  nullable,
  oneOf,
  optional,
  text,
  whole,
  type Check,
} from "../../core/foreign.ts";
import { redrivenCheck } from "../../core/redrive.ts";
import { keyAt, TOTALS_PLACE, type KeyQueue, type QueueTotals } from "./key-queue.ts";

const bytes: Check = (value, path) => (value instanceof Uint8Array ? null : `${path} is no bytes`);

const number: Check = (value, path) => (Number.isFinite(value) ? null : `${path} is no number`);

/** None where its time is none. */
const age: Check = (value, path) => (typeof value === "number" ? null : `${path} is no number`);

const offset: Check = (value, path) =>
  typeof value === "bigint" && value >= 0n && value < 2n ** 63n ? null : `${path} is no offset`;

const header: Check = (value, path) =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string"
    ? nullable(bytes)(value[1], path)
    : `${path} is no header`;

/** More than any limit of a run that makes sense. */
const RECORDS_MAX = 10_000_000;

const queue: Check = (value, path) => {
  const why = fields<KeyQueue>({
    ...{ from: whole(), to: whole(), bytes: whole(), times: whole() },
    ...{ firstMs: number, dueMs: number },
  })(value, path);
  if (why !== null) return why;
  const { from, to } = value as KeyQueue;
  return to > from && to - from <= RECORDS_MAX ? null : "its numbers are those of no queue";
};

/** A record that a store keeps. */
export const queuedRecord: Check = fields({
  ...{ topic: text(300), partition: whole(), offset, timestamp: number, key: bytes },
  ...{ bytes: nullable(bytes), headers: listOf(header), keyValue: anything },
  ...{
    redriven: optional(redrivenCheck),
    eventTime: number,
    ageMs: optional(age),
    isUntimed: optional(oneOf([true])),
  },
  ...{ value: anything, isCarried: optional(oneOf([true])), shape: optional(text(100)) },
  origin: optional(bytes),
});

const totals: Check = fields<QueueTotals>({ keys: whole(), records: whole() });

/** By the state key: a queue, its records, or the totals. */
export const wrongQueued = (place: Buffer, value: unknown): string | null => {
  if (keyAt(place) !== null) return queue(value, "it");
  return (place.equals(TOTALS_PLACE.bytes) ? totals : queuedRecord)(value, "it");
};
