// The windows and spans of the workloads of event time, and what each of them writes. The payments have their time in their values.
import { json, milliseconds, string, topic, type Duration, type Topic } from "#engine";
import { PARTITIONS, type Payment } from "./payments.ts";

export const TUMBLING = { sizeMs: 60_000, graceMs: 10_000 } as const;
export const JOIN = { afterMs: 10_000, graceMs: 5_000 } as const;
export const SESSION = { gapMs: 10_000, graceMs: 5_000 } as const;

/** A window that is closed: its start, and how many payments it has. */
export interface Counted {
  readonly from: number;
  readonly count: number;
}

/** Two payments that were joined, by their ids. */
export interface Pair {
  readonly left: number;
  readonly right: number;
}

export const ms = (span: number): Duration => milliseconds(span);

/** History, as fast as it can be read: nothing of it is quiet. */
export const timedPayments: Topic<string, Payment> = topic(
  process.env["BENCH_INPUT"] ?? "bench-input",
  {
    ...{ key: string, value: json<Payment>(), partitions: PARTITIONS, owner: "bench" },
    timestamp: (payment) => payment.at,
    idleAfter: "never",
  },
);
