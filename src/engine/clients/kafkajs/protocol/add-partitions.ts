// AddPartitionsToTxn v1. When one partition is refused, the broker marks the others "not attempted"; kafkajs reports
// whichever comes first, here it is the reason.
import type { TopicPartition } from "../../../core/record.ts";
import { protocolRequest, type ProducerIdentity, type ProtocolRequest } from "./request.ts";
import { WireWriter } from "./wire.ts";

const notAttempted = 55;

/** The partition whose answer decides. */
export interface RefusedPartition extends TopicPartition {
  readonly code: number;
}

/** Answers with the partition that was refused, null when all were added. */
export function addPartitionsRequest(
  { transactionalId, producerId, epoch }: ProducerIdentity,
  partitions: readonly TopicPartition[],
): ProtocolRequest<RefusedPartition | null> {
  const body = new WireWriter().string(transactionalId).int64(producerId).int16(epoch);
  body.topics(partitions, (at) => body.int32(at.partition));
  return protocolRequest(
    { key: 24, version: 1, name: "AddPartitionsToTxn" },
    body,
    (reader, throttled) => {
      throttled(reader.int32());
      const answers = reader.topics((topic): RefusedPartition => {
        const partition = reader.int32();
        return { topic, partition, code: reader.int16() };
      });
      const refused = answers.filter(({ code }) => code !== 0);
      return refused.find(({ code }) => code !== notAttempted) ?? refused[0] ?? null;
    },
  );
}
