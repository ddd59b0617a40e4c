// The record of a result that no record has made: that of a window that closes, or of a timer.
import type { DecodedRecord } from "../../core/outcome.ts";

export interface ResultKey {
  readonly key: Buffer;
  readonly keyValue: unknown;
}

/** In the place of the placeholder of an entry that was due. Its origin time is never before its own. */
export function resultRecord(
  { raw, context }: DecodedRecord,
  { key, keyValue }: ResultKey,
  timestamp: number,
  originMs: number = timestamp,
): DecodedRecord {
  return {
    raw: { ...raw, key, timestamp },
    value: undefined,
    context: { ...context, key: keyValue, timestamp },
    originMs: Math.max(timestamp, originMs),
  };
}

/**
 * The record of a pair. It has no headers and no place of either, so that it is the same whichever came first; `raw` says whose
 * fault it is when it cannot be written.
 */
export const pairRecord = (
  { raw, context: { partition, key } }: DecodedRecord,
  topic: string,
  { timestamp, originMs }: { readonly timestamp: number; readonly originMs: number },
): DecodedRecord => ({
  raw: { ...raw, headers: [], timestamp },
  value: undefined,
  context: { topic, partition, offset: -1n, headers: [], key, timestamp },
  originMs,
});
