// The records of the app countries on real servers: countries that are loaded first, and events of them.
import type { KafkaPort } from "../../src/engine/core/kafka.ts";
import { partitionOf } from "../../src/engine/core/record.ts";

export const COUNTRIES = 200;

interface Sent {
  readonly kafka: KafkaPort;
  readonly topic: string;
  readonly partitions: number;
}

async function send(
  { kafka, topic, partitions }: Sent,
  values: readonly { readonly code: string }[],
  timeOf: (i: number) => number,
): Promise<void> {
  const producer = kafka.producer();
  await producer.send(
    values.map((value, i) => {
      const key = Buffer.from(value.code);
      return {
        ...{ topic, partition: partitionOf(key, partitions, 0), key, headers: [] },
        ...{ value: Buffer.from(JSON.stringify(value)), timestamp: timeOf(i) },
      };
    }),
  );
  await producer.close();
}

const codeOf = (i: number): string => `c${String(i % COUNTRIES)}`;

export const sendCountries = (to: Sent, timestamp: number): Promise<void> =>
  send(
    to,
    Array.from({ length: COUNTRIES }, (_, i) => ({ code: codeOf(i), name: `land ${String(i)}` })),
    () => timestamp,
  );

export const sendEvents = (
  to: Sent,
  { from, count, timeOf }: { from: number; count: number; timeOf: (i: number) => number },
): Promise<void> =>
  send(
    to,
    Array.from({ length: count }, (_, i) => ({
      id: `e${String(from + i)}`,
      code: codeOf(from + i),
    })),
    timeOf,
  );
