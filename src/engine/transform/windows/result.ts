// What all aggregates by windows have in common: when a window is late for a record, and what a result is.
import type { DecodedRecord } from "../../core/outcome.ts";
import type { Item, Lateness } from "../operator.ts";

/** An aggregate with its window. */
export interface WindowResult<K, A> {
  readonly aggregate: A;
  readonly key: K;
  readonly startMs: number;
  readonly endMs: number;
}

/** The places of the arms behind an aggregate by windows. */
export const RESULTS = 0;
export const LATE = 1;

/**
 * A window that is open for the last time at `lastMs` is late for a record, and why; null: it takes it. At its close it is late
 * already (W3).
 */
export function latenessOf({ record, watermark }: Item, lastMs: number): Lateness | null {
  if (record.originMs > lastMs) return "own";
  return watermark > lastMs ? "closed" : null;
}

/** The record of a closed window's result: its time is the last ms of its window, and so is its origin time. */
export function closedRecord(
  { raw, context }: DecodedRecord,
  key: Buffer,
  timestamp: number,
  keyValue: unknown,
): DecodedRecord {
  return {
    raw: { ...raw, key, timestamp },
    value: undefined,
    context: { ...context, key: keyValue, timestamp },
    originMs: timestamp,
  };
}
