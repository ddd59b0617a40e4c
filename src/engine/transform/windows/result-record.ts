// The record of a result that no record has made: that of a window that closes, or of a timer.
import type { JoinOrigin } from "../../core/join-buffer.ts";
import { DecodeError } from "../../core/errors.ts";
import type { DecodedRecord } from "../../core/outcome.ts";
import type { PlanNode } from "../../core/plan.ts";
import type { Wiring } from "../operator.ts";

export interface ResultKey {
  readonly key: Buffer;
  readonly keyValue: unknown;
}

/**
 * The key of a result that no record has made. One that its schema no longer decodes fails the result; in the letter of that
 * the key is undefined, and its bytes are those of the letter.
 */
export function keyOfResult(
  { options, cursor }: Pick<Wiring, "options" | "cursor">,
  node: PlanNode,
  key: Buffer,
): unknown {
  try {
    return options.keyOf(node, key);
  } catch (error) {
    // mistake: unreadable key stops the task
    if (cursor.kept === null || !(error instanceof DecodeError)) throw error;
    return undefined;
  }
}

/** In the place of the placeholder of an entry that was due. Its origin time is never before its own. */
export function resultRecord(
  { raw, context }: DecodedRecord,
  { key, keyValue }: ResultKey,
  timestamp: number,
  { originMs = timestamp, joined }: { originMs?: number; joined?: JoinOrigin } = {},
): DecodedRecord {
  return {
    raw: { ...raw, key, timestamp, ...(joined === undefined ? {} : { joined }) },
    value: undefined,
    context: { ...context, key: keyValue, timestamp },
    originMs: Math.max(timestamp, originMs),
  };
}

interface PairTimes {
  readonly timestamp: number;
  readonly originMs: number;
  readonly joined: JoinOrigin;
}

/**
 * The record of a pair. It has no headers and no place of either, so that it is the same whichever came first; `raw` says whose
 * fault it is when it cannot be written.
 */
export const pairRecord = (
  { raw, context: { partition, key } }: DecodedRecord,
  topic: string,
  { timestamp, originMs, joined }: PairTimes,
): DecodedRecord => ({
  raw: { ...raw, headers: [], timestamp, joined },
  value: undefined,
  context: { topic, partition, offset: -1n, headers: [], key, timestamp },
  originMs,
});
