// The Kafka suite on a real broker, through kafkajs.
import { kafkajsPort } from "../../../src/engine/clients/kafkajs/port.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { kafkaPortContract } from "../../contract/kafka-port.ts";
import { sharedStack } from "../../support/stack.ts";

kafkaPortContract("kafkajs", async () => {
  const { KAFKA_BROKERS } = await sharedStack();
  return {
    port: () =>
      kafkajsPort({
        brokers: KAFKA_BROKERS.split(","),
        clientId: "contract",
        security: { protocol: "PLAINTEXT" },
        log: new RecordingLog(),
      }),
    close: () => Promise.resolve(),
  };
});
