// What an inbox is made of: its limits and policies, and the queue of each partition.
import type { Bounds, Pace } from "../core/bounds.ts";
import type { RecordBatch } from "../core/kafka.ts";
import type { GroupId, TopicPartition } from "../core/record.ts";

export interface InboxLimits {
  /** Above this the partitions are paused; below half of it they are resumed. */
  readonly bytesMax: number;
  /** Records in one slice, so that a large fetch does not block the event loop. */
  readonly sliceRecordsMax: number;
}

/** Fetching: the consumer, as the inbox needs it. */
export interface Valve {
  seek(partition: TopicPartition, nextOffset: bigint): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
}

/** Consecutive records of one partition. */
export type FetchedSlice = Omit<RecordBatch, "fetchedOffset" | "byteLength">;

export interface InboxPolicies {
  readonly group: GroupId;
  /** The policies end and wait; undefined in a live pipeline. */
  readonly bounds: Bounds | undefined;
  readonly pace: Pace | undefined;
  /** The reference topics are loaded: what waited for them is read from now on. */
  onLoaded?(): void;
}

/** Partitions that are paused together. */
export interface Budget {
  readonly bytesMax: number;
  readonly queues: Queue[];
  bytes: number;
  isPaused: boolean;
}

export interface Queue {
  readonly at: TopicPartition;
  readonly budget: Budget;
  readonly batches: RecordBatch[];
  /** The start of the next batch. */
  expected: bigint;
  /** Records of the first batch that were handed out already. */
  taken: number;
  /** Progress when everything that was handed out is done. */
  position: bigint;
  last: RecordBatch | null;
}
