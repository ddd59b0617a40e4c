// The exact lag of a task: it knows its own position and the record that waits there, so nothing is interpolated
// between commits. Pure; the clock's reading is handed in.

export interface LagFacts {
  /** Committed progress: the next offset to read. */
  readonly nextOffset: bigint;
  /** The last stable offset of the partition: under read_committed nothing beyond it can be read yet. */
  readonly endOffset: bigint;
  /** Timestamp of the record at `nextOffset`, or null while it has not been fetched. */
  readonly oldestUncommittedMs: number | null;
}

export interface Lag {
  readonly records: number;
  /** Null while it is not known: the task is behind, and the record that waits has not been fetched. */
  readonly seconds: number | null;
}

/**
 * Offsets of control records and of compacted records count, as in Kafka's own tools. `seconds` is 0 when caught up, and never
 * below 0 when a producer's clock is ahead.
 */
export function lagOf(facts: LagFacts, nowMs: number): Lag {
  const records = Number(facts.endOffset - facts.nextOffset);
  if (records <= 0) return { records: 0, seconds: 0 };
  if (facts.oldestUncommittedMs === null) return { records, seconds: null };
  return { records, seconds: Math.max(0, (nowMs - facts.oldestUncommittedMs) / 1000) };
}
