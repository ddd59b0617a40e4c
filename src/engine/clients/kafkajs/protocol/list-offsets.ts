// ListOffsets v3: the first offset at or after a timestamp, or one of the two ends. Each partition answers for itself.
import type { TopicPartition } from "../../../core/record.ts";
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter } from "./wire.ts";

export interface OffsetAnswer extends TopicPartition {
  readonly errorCode: number;
  /** Negative when no record is that young. */
  readonly offset: bigint;
}

/** In place of a timestamp. */
export const ends = { low: -2n, high: -1n } as const;

/** The end of the log is the high watermark where uncommitted records count, else the last stable offset. */
export type Isolation = "uncommitted" | "committed";

export function listOffsetsRequest(
  partitions: readonly TopicPartition[],
  timestamp: bigint,
  isolation: Isolation = "uncommitted",
): ProtocolRequest<OffsetAnswer[]> {
  const body = new WireWriter().int32(-1).int8(isolation === "uncommitted" ? 0 : 1);
  body.topics(partitions, (at) => body.int32(at.partition).int64(timestamp));
  return protocolRequest({ key: 2, version: 3, name: "ListOffsets" }, body, (reader, throttled) => {
    throttled(reader.int32());
    return reader.topics((topic) => {
      const partition = reader.int32();
      const errorCode = reader.int16();
      reader.int64();
      return { topic, partition, errorCode, offset: reader.int64() };
    });
  });
}
