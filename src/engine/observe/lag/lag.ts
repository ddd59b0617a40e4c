// The lag of one part on one partition: how many offsets lie between committed progress and the end for committed readers,
// and how long ago the oldest record of them was appended. It covers what is in the log, in the inbox, in work and staged.
import type { AppendTimes, OldestClaimMs } from "./append-times.ts";

export interface Lag {
  readonly records: number;
  readonly seconds: number;
  /** `seconds` is what is known for sure, counted from when the record was first seen. */
  readonly isAtLeast: boolean;
}

export interface LagFacts {
  /** Committed progress: the next offset to read. */
  readonly committed: bigint;
  readonly times: AppendTimes;
  /** The end of a bounded run; null: there is none. */
  readonly end: bigint | null;
  readonly oldestClaimMs: OldestClaimMs;
}

export const nothing: Lag = { records: 0, seconds: 0, isAtLeast: false };

/**
 * Null while the end of the log is not known. Offsets of control records and of compacted records count, as in Kafka's own
 * tools, unless it is known that nothing else is there.
 */
export function lagOf(
  { committed, times, end, oldestClaimMs }: LagFacts,
  nowMs: number,
): Lag | null {
  if (times.end === null) return null;
  const last = end !== null && end < times.end ? end : times.end;
  if (times.pass(committed) >= last) return nothing;
  const since = times.at(committed, oldestClaimMs);
  if (since === null) return nothing;
  return {
    records: Number(last - committed),
    seconds: Math.max(0, (nowMs - since.timeMs) / 1000),
    isAtLeast: since.isAtLeast,
  };
}
