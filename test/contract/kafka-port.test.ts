// The Kafka suite on the cluster in memory.
import { FakeClock } from "../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../src/engine/testing/memory-kafka.ts";
import { kafkaPortContract } from "./kafka-port.ts";

kafkaPortContract("in memory", async () => {
  const clock = new FakeClock(Date.now());
  const kafka = new MemoryKafka(clock);
  return {
    port: () => kafka.port(),
    clockAdvance: (ms) => clock.advance(ms),
    close: () => Promise.resolve(),
  };
});
