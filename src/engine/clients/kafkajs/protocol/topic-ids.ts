// Metadata v12 (KIP-516), for the ids of topics: a topic that was deleted and made anew under its old name has another
// one. kafkajs asks in a version that does not have them.
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter, type WireReader } from "./wire.ts";

const ID_BYTES = 16;
const NO_ID = Buffer.alloc(ID_BYTES);

/** Ids of the topics that exist, by name: 22 characters, as Kafka's own tools print them. */
export function topicIdsRequest(
  topics: readonly string[],
): ProtocolRequest<ReadonlyMap<string, string>> {
  const body = new WireWriter()
    .noTags()
    .compactArray(topics, (topic, writer) => {
      writer.raw(NO_ID).compactString(topic).noTags();
    })
    // Neither makes topics nor asks for rights.
    .int8(0)
    .int8(0)
    .noTags();
  return protocolRequest({ key: 3, version: 12, name: "Metadata" }, body, (reader, throttled) => {
    reader.skipTags();
    throttled(reader.int32());
    skipBrokers(reader);
    reader.compactString();
    reader.int32();
    const found = reader.compactArray(readTopic);
    return new Map(
      found.filter(({ errorCode }) => errorCode === 0).map(({ name, id }) => [name, id]),
    );
  });
}

function skipBrokers(reader: WireReader): void {
  reader.compactArray(() => {
    reader.int32();
    reader.compactString();
    reader.int32();
    reader.compactString();
    reader.skipTags();
  });
}

function readTopic(reader: WireReader): { errorCode: number; name: string; id: string } {
  const errorCode = reader.int16();
  const name = reader.compactString() ?? "";
  const id = reader.buffer.subarray(reader.at, reader.at + ID_BYTES).toString("base64url");
  reader.at += ID_BYTES;
  reader.int8();
  reader.compactArray(skipPartition);
  reader.int32();
  reader.skipTags();
  return { errorCode, name, id };
}

function skipPartition(reader: WireReader): void {
  reader.int16();
  for (let field = 0; field < 3; field++) reader.int32();
  for (let list = 0; list < 3; list++) reader.compactArray(() => reader.int32());
  reader.skipTags();
}
