// The two requests of KIP-447 that kafkajs lacks: TxnOffsetCommit v3, fenced by generation and member, and
// OffsetFetch v7 with requireStable; and OffsetCommit v8, by a member or from outside a group. All are flexible versions: the header's
// tags are the first byte of the body.
import type { CommittedOffset, GroupGeneration, Progress } from "../../../core/kafka.ts";
import type { GroupId, TopicPartition } from "../../../core/record.ts";
import { protocolRequest, type ProducerIdentity, type ProtocolRequest } from "./request.ts";
import { WireWriter, type WireReader } from "./wire.ts";

export interface PartitionAnswer extends TopicPartition {
  readonly errorCode: number;
}

/** `generation`: as captured when the batch was read. */
export function txnOffsetCommitRequest(
  { transactionalId, producerId, epoch }: ProducerIdentity,
  generation: GroupGeneration,
  progress: readonly Progress[],
): ProtocolRequest<PartitionAnswer[]> {
  const body = new WireWriter()
    .noTags()
    .compactString(transactionalId)
    .compactString(generation.group)
    .int64(producerId)
    .int16(epoch);
  return protocolRequest(
    { key: 28, version: 3, name: "TxnOffsetCommit" },
    writeProgress(body, generation, progress),
    readPartitionAnswers,
  );
}

/** A tool that is no member: a group that has members refuses it. */
export const noMember = (group: GroupId): GroupGeneration => ({
  group,
  generationId: -1,
  memberId: "",
});

export function offsetCommitRequest(
  generation: GroupGeneration,
  progress: readonly Progress[],
): ProtocolRequest<PartitionAnswer[]> {
  const body = new WireWriter().noTags().compactString(generation.group);
  return protocolRequest(
    { key: 8, version: 8, name: "OffsetCommit" },
    writeProgress(body, generation, progress),
    readPartitionAnswers,
  );
}

function writeProgress(
  body: WireWriter,
  { generationId, memberId }: GroupGeneration,
  progress: readonly Progress[],
): WireWriter {
  const byTopic = Map.groupBy(progress, (entry) => entry.topic);
  return body
    .int32(generationId)
    .compactString(memberId)
    .compactString(null)
    .compactArray([...byTopic], ([topic, entries], writer) => {
      writer.compactString(topic).compactArray(entries, (entry) => {
        writer.int32(entry.partition).int64(entry.nextOffset).int32(-1);
        writer.compactString(entry.metadata).noTags();
      });
      writer.noTags();
    })
    .noTags();
}

function readPartitionAnswers(
  reader: WireReader,
  throttled: (ms: number) => void,
): PartitionAnswer[] {
  reader.skipTags();
  throttled(reader.int32());
  return readTopics(reader, (topic) => {
    const answer = { topic, partition: reader.int32(), errorCode: reader.int16() };
    reader.skipTags();
    return answer;
  });
}

export interface OffsetFetchAnswer {
  readonly errorCode: number;
  readonly offsets: readonly (CommittedOffset & { readonly errorCode: number })[];
}

export function offsetFetchRequest(
  group: GroupId,
  partitions: readonly TopicPartition[],
  isStable: boolean,
): ProtocolRequest<OffsetFetchAnswer> {
  const byTopic = Map.groupBy(partitions, (at) => at.topic);
  const body = new WireWriter()
    .noTags()
    .compactString(group)
    .compactArray([...byTopic], ([topic, places], writer) => {
      writer.compactString(topic);
      writer.compactArray(places, (at) => writer.int32(at.partition)).noTags();
    })
    .int8(isStable ? 1 : 0)
    .noTags();
  return protocolRequest({ key: 9, version: 7, name: "OffsetFetch" }, body, (reader, throttled) => {
    reader.skipTags();
    throttled(reader.int32());
    const offsets = readTopics(reader, (topic) => readOffset(reader, topic));
    return { errorCode: reader.int16(), offsets };
  });
}

function readOffset(
  reader: WireReader,
  topic: string,
): CommittedOffset & { readonly errorCode: number } {
  const partition = reader.int32();
  const nextOffset = reader.int64();
  reader.int32();
  const metadata = reader.compactString() ?? "";
  const errorCode = reader.int16();
  reader.skipTags();
  return { topic, partition, nextOffset: nextOffset < 0n ? null : nextOffset, metadata, errorCode };
}

function readTopics<T>(reader: WireReader, partition: (topic: string) => T): T[] {
  const topics = reader.compactArray(() => {
    const topic = reader.compactString() ?? "";
    const partitions = reader.compactArray(() => partition(topic));
    reader.skipTags();
    return partitions;
  });
  return topics.flat();
}
