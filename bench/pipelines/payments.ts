// The topics of the benchmark's pipelines. BENCH_INPUT and BENCH_OUTPUT name them: each run writes a topic of its own.
import { json, string, topic, type Topic } from "#engine";

export interface Payment {
  readonly id: number;
  /** The key once more, as in most real topics. */
  readonly account: string;
  readonly amount: number;
  readonly items: number;
  readonly currency: string;
  readonly store: string;
  readonly channel: string;
  readonly at: number;
  readonly paid: boolean;
}

export interface Total extends Payment {
  readonly total: number;
}

export const PARTITIONS = 4;

export const totalOf = (payment: Payment): Total => ({
  ...payment,
  total: payment.amount * payment.items,
});

const named = (setting: string): string => process.env[setting] ?? setting.toLowerCase();

export const payments: Topic<string, Payment> = topic(named("BENCH_INPUT"), {
  key: string,
  value: json<Payment>(),
  partitions: PARTITIONS,
  owner: "bench",
});

/** Where a run writes. */
export const output = <V>(): Topic<string, V> =>
  topic(named("BENCH_OUTPUT"), {
    key: string,
    value: json<V>(),
    partitions: PARTITIONS,
    owner: "bench",
  });
