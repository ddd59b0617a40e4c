// Workload "call": a call of 5 ms for each record. BENCH_RETRY says how calls are retried; calls for the key "failing" fail
// three times a record.
import { setTimeout as delay } from "node:timers/promises";
import { milliseconds, pipeline, resource, seconds, type RetryOptions } from "#engine";
import { output, payments, totalOf, type Total } from "./payments.ts";

const CALL_MS = 5;
const FAILURES = 3;
const mode = process.env["BENCH_RETRY"] === "block" ? "block" : "park-key";
const retry: RetryOptions = {
  mode,
  attempts: 10,
  backoff: { first: milliseconds(100), max: seconds(5) },
};

class Service {
  readonly #failed = new Map<number, number>();

  async ask(key: string, id: number, signal: AbortSignal): Promise<void> {
    await delay(CALL_MS, undefined, { signal });
    if (key !== "failing") return;
    const failed = this.#failed.get(id) ?? 0;
    this.#failed.set(id, failed + 1);
    if (failed < FAILURES) throw new Error("not yet");
  }
}

const service = resource("service", { env: {}, open: () => new Service() });

export const pipelines = [
  pipeline("call", ({ from }) => {
    from(payments)
      .mapAsync(
        "ask",
        async (payment, { client, signal, record }) => {
          await client.ask(record.key, payment.id, signal);
          return totalOf(payment);
        },
        { client: service, concurrency: 64, timeout: seconds(1), retry },
      )
      .to(output<Total>());
  }),
];
export const tables = [];
