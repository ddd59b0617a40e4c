// Produce v8 (brokers from 2.4 on), acks from all in-sync replicas. Each partition answers for itself: no error of one hides another's.
import type { TopicPartition } from "../../../core/record.ts";
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter, type WireReader } from "./wire.ts";

export interface ProducedBatch extends TopicPartition {
  /** An encoded record batch. */
  readonly bytes: Buffer;
}

export interface ProduceAnswer extends TopicPartition {
  readonly errorCode: number;
  /** Null where the broker does not say: after an error, or of a batch that it had long before. */
  readonly baseOffset: bigint | null;
  /** Null in topics with CreateTime. */
  readonly appendTimeMs: number | null;
  /** The records for which the broker refused the batch, where it says so. */
  readonly refused: readonly RefusedInBatch[];
  readonly errorMessage: string | null;
}

interface RefusedInBatch {
  readonly batchIndex: number;
  readonly words: string | null;
}

const readRefused = (reader: WireReader): RefusedInBatch => {
  const batchIndex = reader.int32();
  return { batchIndex, words: reader.string() };
};

function readAnswer(topic: string, reader: WireReader): ProduceAnswer {
  const partition = reader.int32();
  const errorCode = reader.int16();
  const baseOffset = reader.int64();
  const appendTime = reader.int64();
  reader.int64(); // The log's start offset.
  const refused = reader.array(readRefused);
  return {
    topic,
    partition,
    errorCode,
    baseOffset: baseOffset < 0n ? null : baseOffset,
    appendTimeMs: appendTime < 0n ? null : Number(appendTime),
    refused,
    errorMessage: reader.string(),
  };
}

const api = { key: 0, version: 8, name: "Produce" } as const;
const allReplicas = -1;

export function produceRequest(
  transactionalId: string | null,
  batches: readonly ProducedBatch[],
  timeoutMs: number,
): ProtocolRequest<ProduceAnswer[]> {
  const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length + 64, 512);
  const body = new WireWriter(bytes).string(transactionalId).int16(allReplicas).int32(timeoutMs);
  body.topics(batches, (batch) => body.int32(batch.partition).bytes(batch.bytes));
  const read = (reader: WireReader, throttled: (ms: number) => void): ProduceAnswer[] => {
    const answers = reader.topics((topic) => readAnswer(topic, reader));
    throttled(reader.int32());
    return answers;
  };
  return protocolRequest(api, body, read, timeoutMs);
}
