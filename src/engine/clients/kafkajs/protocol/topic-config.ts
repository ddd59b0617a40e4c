// IncrementalAlterConfigs v0 (KIP-339): sets what is named and leaves the rest, unlike kafkajs' alterConfigs, which
// puts every setting that is not named back to its default.
import { protocolRequest, type ProtocolRequest } from "./request.ts";
import { WireWriter } from "./wire.ts";

const topicResource = 2;
const setOperation = 0;

export interface ConfigAnswer {
  readonly errorCode: number;
  readonly message: string;
}

export function topicConfigRequest(
  topic: string,
  config: Readonly<Record<string, string>>,
): ProtocolRequest<ConfigAnswer> {
  const body = new WireWriter()
    .array([topic], (name, writer) => {
      writer.int8(topicResource).string(name);
      writer.array(Object.entries(config), ([key, value]) => {
        writer.string(key).int8(setOperation).string(value);
      });
    })
    .int8(0);
  return protocolRequest({
    api: { key: 44, version: 0, name: "IncrementalAlterConfigs" },
    body,
    read: (reader, throttled) => {
      throttled(reader.int32());
      const answers = reader.array(() => {
        const answer = { errorCode: reader.int16(), message: reader.string() ?? "" };
        reader.int8();
        reader.string();
        return answer;
      });
      return answers[0] ?? { errorCode: 0, message: "" };
    },
  });
}
