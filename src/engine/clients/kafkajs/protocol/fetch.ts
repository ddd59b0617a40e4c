// Fetch v11 (KIP-392), read_committed, full fetches. Partition errors come as codes with the rest of the answer.
import type { TopicPartition } from "../../../core/record.ts";
import type { AbortedTransaction } from "./records/record-batch-decode.ts";
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter, type WireReader } from "./wire.ts";

export interface FetchPosition extends TopicPartition {
  readonly fetchOffset: bigint;
  readonly maxBytes: number;
}

export interface FetchOptions {
  readonly positions: readonly FetchPosition[];
  readonly maxWaitMs: number;
  readonly maxBytes: number;
}

export interface FetchedPartition extends TopicPartition {
  readonly errorCode: number;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
  readonly logStartOffset: bigint;
  readonly aborted: readonly AbortedTransaction[];
  readonly recordSet: Buffer;
}

const api = { key: 1, version: 11, name: "Fetch" } as const;
const readCommitted = 1;
const none = -1;

export function fetchRequest(options: FetchOptions): ProtocolRequest<FetchedPartition[]> {
  const byTopic = Map.groupBy(options.positions, (position) => position.topic);
  const body = new WireWriter()
    .int32(none)
    .int32(options.maxWaitMs)
    .int32(1)
    .int32(options.maxBytes)
    .int8(readCommitted)
    .int32(0)
    .int32(none)
    .array([...byTopic], ([topic, positions], writer) => {
      writer.string(topic).array(positions, ({ partition, fetchOffset, maxBytes }) => {
        writer.int32(partition).int32(none).int64(fetchOffset).int64(-1n).int32(maxBytes);
      });
    })
    .int32(0)
    .string("");
  return protocolRequest({ api, body, read: readAnswer, waitMs: options.maxWaitMs });
}

function readAnswer(reader: WireReader, throttled: (ms: number) => void): FetchedPartition[] {
  throttled(reader.int32());
  const errorCode = reader.int16();
  reader.int32();
  const topics = reader.array(() => {
    const topic = reader.string() ?? "";
    return reader.array(() => readPartition(reader, topic, errorCode));
  });
  return topics.flat();
}

function readPartition(reader: WireReader, topic: string, sessionError: number): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16() || sessionError;
  const highWatermark = reader.int64();
  const lastStableOffset = reader.int64();
  const logStartOffset = reader.int64();
  const aborted = reader.array(() => ({
    producerId: reader.int64(),
    firstOffset: reader.int64(),
  }));
  reader.int32();
  return {
    topic,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    recordSet: reader.bytes(),
  };
}
