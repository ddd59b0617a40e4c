// Ports to the shared stack's Kafka for one test, with names of their own, closed when the test ends.
import { randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import type { GroupConsumer, KafkaPort, TxProducer } from "../../src/engine/core/kafka.ts";
import type { OutRecord, RawRecord } from "../../src/engine/core/record.ts";
import { kafkajsPort, type SocketFactory } from "../../src/engine/clients/kafkajs/port.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { sharedStack } from "./stack.ts";

export interface PortOptions {
  readonly brokers?: string;
  readonly socketFactory?: SocketFactory;
  readonly requestDeadlineMs?: number;
}

export class KafkaFixture {
  readonly #test: TestContext;
  readonly #brokers: string;
  readonly #id = randomUUID().slice(0, 8);
  #count = 0;

  private constructor(test: TestContext, brokers: string) {
    this.#test = test;
    this.#brokers = brokers;
  }

  static async for(test: TestContext, brokers?: string): Promise<KafkaFixture> {
    return new KafkaFixture(test, brokers ?? (await sharedStack()).KAFKA_BROKERS);
  }

  name(what: string): string {
    return `kafkajs-${this.#id}-${what}-${String(++this.#count)}`;
  }

  port(options: PortOptions = {}): KafkaPort {
    const { socketFactory, requestDeadlineMs } = options;
    const port = kafkajsPort({
      brokers: this.#brokers.split(","),
      clientId: "kafkajs-test",
      security: { protocol: "PLAINTEXT" },
      log: new RecordingLog(),
      ...(socketFactory === undefined ? {} : { socketFactory }),
      ...(requestDeadlineMs === undefined ? {} : { requestDeadlineMs }),
    });
    this.#test.after(() => port.close());
    return port;
  }

  async topic(partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = this.name("topic");
    const admin = this.port().admin();
    await admin.createTopics([{ topic, partitions, replicationFactor: -1, config }]);
    await admin.close();
    return topic;
  }

  async producer(
    port: KafkaPort,
    transactionalId: string = this.name("tx"),
    timeoutMs = 15_000,
  ): Promise<TxProducer> {
    const producer = port.txProducer({ transactionalId, timeoutMs });
    await producer.init();
    return producer;
  }

  consumer(port: KafkaPort, group: string, topics: readonly string[]): GroupConsumer {
    return port.consumer({
      group,
      topics,
      identity: this.name("member"),
      maxBytes: 4_194_304,
      sessionTimeoutMs: 2_000,
      heartbeatIntervalMs: 200,
      rebalanceTimeoutMs: 10_000,
    });
  }

  /** What a committed reader finds below the end that the partition has now. */
  async committed(topic: string, partition = 0): Promise<RawRecord[]> {
    const port = this.port();
    const admin = port.admin();
    const end = (await admin.watermarks(topic))[partition]?.high ?? 0n;
    const reader = port.reader({ topic, partition, fromOffset: 0n, maxWaitMs: 100 });
    const records: RawRecord[] = [];
    const giveUpAt = Date.now() + 20_000;
    for (let nextOffset = 0n; nextOffset < end;) {
      if (Date.now() > giveUpAt)
        throw new Error(`${topic} was read up to ${String(nextOffset)} of ${String(end)} only`);
      const read = await reader.read();
      records.push(...read.records);
      nextOffset = read.nextOffset;
    }
    await port.close();
    return records;
  }
}

export const record = (topic: string, value: string, more: Partial<OutRecord> = {}): OutRecord => ({
  topic,
  partition: 0,
  key: null,
  value: Buffer.from(value),
  headers: [],
  timestamp: Date.now(),
  ...more,
});

export const numbered = (
  topic: string,
  count: number,
  more: Partial<OutRecord> = {},
): OutRecord[] => Array.from({ length: count }, (_, i) => record(topic, String(i), more));

export const valuesOf = (records: readonly RawRecord[]): string[] =>
  records.map(({ value }) => value?.toString("utf8") ?? "");
