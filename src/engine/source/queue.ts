// The makings of an inbox: its limits and policies, and the queue of each partition.
import type { Bounds, Pace } from "../core/bounds.ts";
import type { MillraceError } from "../core/errors.ts";
import type { Loading, LoadStart } from "../core/loading.ts";
import type { RecordBatch } from "../core/kafka.ts";
import { addressOf, type GroupId, type TopicName, type TopicPartition } from "../core/record.ts";

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
  /** The reason why nothing comes behind its batches. */
  failure: MillraceError | null;
}

/** Under the policy wait each is paused for itself, or one that is waited for could starve behind a full one. */
export function queuesOf(
  starts: readonly LoadStart[],
  bytesMax: number,
  isEachAlone: boolean,
): ReadonlyMap<TopicName, Queue> {
  const budgetOf = (most: number): Budget => ({
    ...{ bytesMax: most, queues: [], bytes: 0, isPaused: false },
  });
  const shared = budgetOf(bytesMax);
  const queues = starts.map(({ topic, partition, nextOffset: expected }): Queue => {
    const budget = isEachAlone ? budgetOf(bytesMax / starts.length) : shared;
    const at = { topic, partition };
    const queue: Queue = {
      ...{ at, budget, batches: [], expected, taken: 0, position: expected },
      ...{ last: null, failure: null },
    };
    budget.queues.push(queue);
    return queue;
  });
  return new Map(queues.map((queue) => [queue.at.topic, queue]));
}

/** Whether the queue is ordered with those of `beside`; where that is empty every queue is, as in a live pipeline. */
export const isFollower = ({ at }: Queue, beside: ReadonlySet<TopicName>): boolean =>
  beside.size === 0 || beside.has(at.topic);

/** The slice when the pace lets it through; null when the inbox was closed first. */
export function paced(
  slice: FetchedSlice,
  pace: Pace,
  signal: AbortSignal,
): Promise<FetchedSlice | null> {
  return pace.take(slice.records.length, signal).then(
    () => (signal.aborted ? null : slice),
    (error: unknown) => {
      if (signal.aborted) return null;
      throw error;
    },
  );
}

/** How far the topics are that are loaded first. */
export function loadingText(loading: Loading, queues: ReadonlyMap<TopicName, Queue>): string {
  const left = [...loading.ends].map(([name, end]) => {
    const { at, position } = queues.get(name) as Queue;
    return `${addressOf(at)} is loaded first, ${String(position)} of ${String(end)}`;
  });
  return `waits: ${left.join("; ")}`;
}

/** Whether nothing is left in front of its failure. */
export const isAtFailure = ({ batches, position, expected }: Queue): boolean =>
  batches.length === 0 && position >= expected;
