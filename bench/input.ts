// The input of every run: one topic of payments, filled once, always with the same records; and what the answers must be.
import { type OutRecord, partitionOf } from "../src/engine/core/record.ts";
import { PARTITIONS, type Payment } from "./pipelines/payments.ts";
import type { World } from "./world.ts";

export const ACCOUNTS = 20_000;
const SEND_RECORDS = 20_000;

export interface Input {
  readonly topic: string;
  readonly records: number;
  /** Bytes of an average value. */
  readonly valueBytes: number;
  /** By account, added up naively in the order of the input. */
  readonly sums: ReadonlyMap<string, number>;
}

/** Mulberry32: the same numbers in each run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const FIRST_AT = 1_750_000_000_000;
const currencies = ["EUR", "USD", "GBP", "CHF"] as const;
const channels = ["web", "shop", "app"] as const;

/** The account and the amount of the n-th payment are random, the rest follows from n. */
export function paymentsOf(records: number): Iterable<Payment> {
  const next = numbers(7);
  return (function* () {
    for (let id = 0; id < records; id++) {
      const account = `k${String(Math.floor(next() * ACCOUNTS))}`;
      const amount = Math.floor(next() * 100_000) / 100;
      const currency = currencies[id % currencies.length] ?? "EUR";
      const channel = channels[id % channels.length] ?? "web";
      const store = `store-${String(id % 500)}`;
      const [items, at] = [1 + (id % 7), FIRST_AT + id];
      yield { id, account, amount, items, currency, store, channel, at, paid: id % 3 > 0 };
    }
  })();
}

/** Makes the topic and fills it. */
export async function fillInput(world: World, records: number): Promise<Input> {
  const topic = "bench-payments";
  const spec = { topic, partitions: PARTITIONS, replicationFactor: -1, config: {} };
  await world.admin.createTopics([spec]);
  const producer = world.kafka.producer();
  const sums = new Map<string, number>();
  let bytes = 0;
  let pending: OutRecord[] = [];
  // Kafka's time is that of the sending, or the topic's retention would come into it.
  const timestamp = Date.now();
  for (const payment of paymentsOf(records)) {
    sums.set(payment.account, (sums.get(payment.account) ?? 0) + payment.amount);
    const [key, value] = [Buffer.from(payment.account), Buffer.from(JSON.stringify(payment))];
    bytes += value.length;
    const partition = partitionOf(key, PARTITIONS, 0);
    pending.push({ topic, partition, key, value, headers: [], timestamp });
    if (pending.length < SEND_RECORDS) continue;
    await producer.send(pending);
    pending = [];
  }
  await producer.send(pending);
  await producer.close();
  return { topic, records, sums, valueBytes: Math.round(bytes / records) };
}
