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
