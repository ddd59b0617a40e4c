// AddPartitionsToTxn v1. When one partition is refused, the broker marks the others "not attempted"; kafkajs reports
// whichever comes first, here it is the reason.
import type { TopicPartition } from "../../../core/record.ts";
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter } from "./wire.ts";

export interface AddPartitionsOptions {
  readonly transactionalId: string;
  readonly producerId: bigint;
  readonly epoch: number;
  readonly partitions: readonly TopicPartition[];
}

const notAttempted = 55;

/** The partition whose answer decides. */
export interface RefusedPartition extends TopicPartition {
  readonly code: number;
}

/** Answers with the partition that was refused, null when all were added. */
export function addPartitionsRequest(
  options: AddPartitionsOptions,
): ProtocolRequest<RefusedPartition | null> {
  const byTopic = Map.groupBy(options.partitions, (at) => at.topic);
  const body = new WireWriter()
    .string(options.transactionalId)
    .int64(options.producerId)
    .int16(options.epoch)
    .array([...byTopic], ([topic, places], writer) => {
      writer.string(topic).array(places, (at) => writer.int32(at.partition));
    });
  return protocolRequest({
    api: { key: 24, version: 1, name: "AddPartitionsToTxn" },
    body,
    read: (reader, throttled) => {
      throttled(reader.int32());
      const answers = reader.array(() => {
        const topic = reader.string() ?? "";
        return reader.array((): RefusedPartition => {
          const partition = reader.int32();
          return { topic, partition, code: reader.int16() };
        });
      });
      const refused = answers.flat().filter(({ code }) => code !== 0);
      return refused.find(({ code }) => code !== notAttempted) ?? refused[0] ?? null;
    },
  });
}
