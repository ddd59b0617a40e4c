// Fetch v11 (KIP-392), read_committed, full fetches. Partition errors come as codes with the rest of the answer.
import type { TopicPartition } from "../../../core/record.ts";
import type { AbortedTransaction } from "./records/aborted-filter.ts";
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter, type WireReader } from "./wire.ts";

export interface FetchPosition extends TopicPartition {
  readonly fetchOffset: bigint;
  readonly maxBytes: number;
}

export interface FetchedPartition extends TopicPartition {
  readonly errorCode: number;
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
  readonly aborted: readonly AbortedTransaction[];
  readonly recordSet: Buffer;
}

const api = { key: 1, version: 11, name: "Fetch" } as const;
const readCommitted = 1;
const none = -1;

export function fetchRequest(
  positions: readonly FetchPosition[],
  maxBytes: number,
  maxWaitMs: number,
): ProtocolRequest<FetchedPartition[]> {
  const body = new WireWriter()
    .int32(none)
    .int32(maxWaitMs)
    .int32(1)
    .int32(maxBytes)
    .int8(readCommitted)
    .int32(0)
    .int32(none);
  body
    .topics(positions, (at) => {
      body.int32(at.partition).int32(none).int64(at.fetchOffset).int64(-1n).int32(at.maxBytes);
    })
    .int32(0)
    .string("");
  return protocolRequest(api, body, readAnswer, maxWaitMs);
}

function readAnswer(reader: WireReader, throttled: (ms: number) => void): FetchedPartition[] {
  throttled(reader.int32());
  const errorCode = reader.int16();
  reader.int32();
  return reader.topics((topic) => readPartition(reader, topic, errorCode));
}

function readPartition(reader: WireReader, topic: string, sessionError: number): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16() || sessionError;
  const highWatermark = reader.int64();
  const lastStableOffset = reader.int64();
  reader.int64(); // The log's start offset.
  const aborted = reader.array(() => ({
    producerId: reader.int64(),
    firstOffset: reader.int64(),
  }));
  reader.int32();
  const recordSet = reader.bytes();
  return { topic, partition, errorCode, highWatermark, lastStableOffset, aborted, recordSet };
}
