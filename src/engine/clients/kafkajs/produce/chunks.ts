// Cuts records into batches for one partition each, in order, below the size that brokers accept by default.
import { addressOf, type OutRecord, type TopicPartition } from "../../../core/record.ts";
import { recordBytesMax } from "../protocol/records/record-batch-encode.ts";

/** Below the default of message.max.bytes (1,048,588), with room for what other brokers set a little lower. */
export const chunkBytesMax = 900_000;

export interface PartitionQueue extends TopicPartition {
  /** In order; each is one record batch. */
  readonly chunks: OutRecord[][];
}

/** The largest size of a chunk of the topic; smaller after its broker has refused a chunk of that size. */
export type LimitOf = (topic: string) => number;

/** A queue for each partition. A record larger than a chunk is a chunk of its own: the broker decides about it. */
export function chunksOf(
  records: readonly OutRecord[],
  limitOf: LimitOf = () => chunkBytesMax,
): Map<string, PartitionQueue> {
  const queues = new Map<string, PartitionQueue & { bytes: number }>();
  let last: (PartitionQueue & { bytes: number }) | undefined;
  for (const record of records) {
    // Neighbours mostly share a partition, which spares making the map's key.
    if (last?.partition !== record.partition || last.topic !== record.topic)
      last = queueOf(queues, record);
    const bytes = recordBytesMax(record);
    const open = last.chunks.at(-1);
    if (open === undefined || last.bytes + bytes > limitOf(last.topic)) {
      last.chunks.push([record]);
      last.bytes = bytes;
    } else {
      open.push(record);
      last.bytes += bytes;
    }
  }
  return queues;
}

export const bytesOf = (chunk: readonly OutRecord[]): number =>
  chunk.reduce((sum, record) => sum + recordBytesMax(record), 0);

/** Its first chunk becomes two, in order. */
export function halve({ chunks }: PartitionQueue): void {
  const [chunk = []] = chunks;
  const middle = Math.ceil(chunk.length / 2);
  chunks.splice(0, 1, chunk.slice(0, middle), chunk.slice(middle));
}

/** Without these records of its first chunk. */
export function without({ chunks }: PartitionQueue, refused: ReadonlySet<number>): void {
  const rest = (chunks[0] ?? []).filter((_, index) => !refused.has(index));
  chunks.splice(0, 1, ...(rest.length === 0 ? [] : [rest]));
}

function queueOf(
  queues: Map<string, PartitionQueue & { bytes: number }>,
  at: TopicPartition,
): PartitionQueue & { bytes: number } {
  const address = addressOf(at);
  let queue = queues.get(address);
  if (queue === undefined) {
    queue = { topic: at.topic, partition: at.partition, chunks: [], bytes: 0 };
    queues.set(address, queue);
  }
  return queue;
}
