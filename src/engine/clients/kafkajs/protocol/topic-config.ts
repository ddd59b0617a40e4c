// IncrementalAlterConfigs v0 (KIP-339): sets what is named and leaves the rest, unlike kafkajs' alterConfigs, which
// puts every setting that is not named back to its default.
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter } from "./wire.ts";

const topicResource = 2;
const setOperation = 0;

/** Answers with the error code. */
export function topicConfigRequest(
  topic: string,
  config: Readonly<Record<string, string>>,
): ProtocolRequest<number> {
  const body = new WireWriter()
    .array([topic], (name, writer) => {
      writer.int8(topicResource).string(name);
      writer.array(Object.entries(config), ([key, value]) => {
        writer.string(key).int8(setOperation).string(value);
      });
    })
    .int8(0);
  return protocolRequest(
    { key: 44, version: 0, name: "IncrementalAlterConfigs" },
    body,
    (reader, throttled) => {
      throttled(reader.int32());
      // The rest is text, of this topic alone.
      return reader.int32() > 0 ? reader.int16() : 0;
    },
  );
}
