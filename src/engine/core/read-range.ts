// The loop that reads a range of one partition. Every reader of notes, letters, changelogs and topics goes through it.
import type { AdminPort, KafkaPort, RangeRead, ReaderOptions, Watermarks } from "./kafka.ts";
import { BatchError } from "./errors.ts";
import { addressOf, type RawRecord, type TopicName, type TopicPartition } from "./record.ts";

/** The records of one partition from `from` up to, without, `to`. */
export interface OffsetRange extends TopicPartition {
  readonly from: bigint;
  readonly to: bigint;
}

export interface ReadOptions extends Pick<ReaderOptions, "maxBytes" | "maxWaitMs"> {
  readonly signal?: AbortSignal | undefined;
  /** False: the loop ends at the first record of an open transaction, and does not wait for it. */
  readonly waits?: boolean;
  /** A batch that nobody can read is passed over; left out, it ends the loop. For topics in which it cannot be one of ours. */
  onUnreadable?(error: BatchError): void;
}

export async function* readRange(
  kafka: Pick<KafkaPort, "reader">,
  { topic, partition, from, to }: OffsetRange,
  { onUnreadable, ...options }: ReadOptions = {},
): AsyncGenerator<RangeRead> {
  for (let next = from; next < to;) {
    try {
      yield* readOn(kafka, { topic, partition, from: next, to }, options);
      return;
    } catch (error) {
      if (onUnreadable === undefined || !(error instanceof BatchError)) throw error;
      onUnreadable(error);
      // A head that lies must not lead back.
      const behind = error.nextOffset > next ? error.nextOffset : next + 1n;
      next = behind < to ? behind : to;
      yield { records: [], nextOffset: next };
    }
  }
}

async function* readOn(
  kafka: Pick<KafkaPort, "reader">,
  { topic, partition, from, to }: OffsetRange,
  { signal, waits = true, ...limits }: Omit<ReadOptions, "onUnreadable">,
): AsyncGenerator<RangeRead> {
  const reader = kafka.reader({ topic, partition, fromOffset: from, ...limits });
  try {
    for (let next = from; next < to;) {
      signal?.throwIfAborted();
      const { records, nextOffset, lastStableOffset } = await reader.read();
      if (nextOffset === next && !waits && next >= lastStableOffset) return;
      if (nextOffset > next) yield within(records, nextOffset, to);
      next = nextOffset;
    }
  } finally {
    await reader.close();
  }
}

/** Control records behind the range are read with it: the next offset is behind them then. */
function within(records: readonly RawRecord[], nextOffset: bigint, to: bigint): RangeRead {
  const inside = records.filter(({ offset }) => offset < to);
  return inside.length === records.length
    ? { records, nextOffset }
    : { records: inside, nextOffset: to };
}

/** The beginning and the end of each partition of these topics, by address. */
export async function watermarksOf(
  admin: Pick<AdminPort, "watermarks">,
  topics: Iterable<TopicName>,
): Promise<ReadonlyMap<string, Watermarks>> {
  const marks = await Promise.all([...new Set(topics)].map((topic) => admin.watermarks(topic)));
  return new Map(marks.flat().map((mark) => [addressOf(mark), mark]));
}

/** The ports that a topic is read by. */
export interface TopicPorts {
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly admin: Pick<AdminPort, "watermarks">;
}

/** Every record that the topic has by now, partition by partition; of one partition if it is named. */
export async function* readTopic(
  topic: TopicName,
  { kafka, admin }: TopicPorts,
  only: number | null = null,
  options: ReadOptions = {},
): AsyncGenerator<RawRecord> {
  for (const { partition, low: from, high: to } of await admin.watermarks(topic)) {
    if (only !== null && partition !== only) continue;
    for await (const { records } of readRange(kafka, { topic, partition, from, to }, options))
      yield* records;
  }
}
