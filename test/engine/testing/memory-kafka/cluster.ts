// A cluster in virtual time with one topic, for tests of the cluster itself.
import type { KafkaPort, TxProducer } from "../../../../src/engine/core/kafka.ts";
import { FakeClock } from "../../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../../src/engine/testing/memory-kafka.ts";
import { valueOf, World } from "../../../contract/kafka-port/world.ts";

export interface Cluster {
  readonly clock: FakeClock;
  readonly kafka: MemoryKafka;
  readonly world: World;
  readonly topic: string;
}

export async function aCluster(partitions = 1, batchRecordsMax = 500): Promise<Cluster> {
  const clock = new FakeClock();
  const kafka = new MemoryKafka(clock, batchRecordsMax);
  const world = new World({
    port: () => kafka.port(),
    clockAdvance: (ms) => clock.advance(ms),
    close: () => Promise.resolve(),
  });
  return { clock, kafka, world, topic: await world.topic(partitions) };
}

/** Values of the topic, as a committed reader sees it or as it was written. */
export const seen = ({ kafka, topic }: Cluster, committed = true): (string | null)[] =>
  kafka.records(topic, { committed }).map(valueOf);

/** A producer whose transaction begins with its first record. */
export async function openTransaction(
  port: KafkaPort,
  transactionalId: string,
  timeoutMs = 30_000,
): Promise<TxProducer> {
  const producer = port.txProducer({ transactionalId, timeoutMs });
  await producer.init();
  producer.begin();
  return producer;
}
