// A pipeline that calls a service for each record, the service (in virtual time, failing by a script), and what must come of it.
import assert from "node:assert/strict";
import {
  hours,
  json,
  milliseconds,
  pipeline,
  resource,
  string,
  topic,
  type Pipeline,
  type RetryOptions,
} from "#engine";
import type { Clock } from "../../src/engine/core/ports.ts";

export interface Ask {
  readonly n: number;
}
export interface Answer extends Ask {
  readonly answeredMs: number;
}

const keyed = <V>(name: string, partitions: number) =>
  topic(name, { key: string, value: json<V>(), partitions, owner: "tests" });
export const asks = keyed<Ask>("asks", 2);
export const answers = keyed<Answer>("answers", 2);

export class NotFound extends Error {}

/** What the service does with one call: answers, fails at once, is hopeless, or never says anything. */
export type Behaviour = "answers" | "fails" | "not found" | "hangs";

const CALL_MS = 20;
export const TIMEOUT_MS = 500;

export class Service {
  readonly #clock: Clock;
  readonly #behaves: (key: string, n: number, call: number) => Behaviour;
  readonly calls = new Map<string, number>();
  /** Calls under way by key, and the most at once. */
  readonly #open = new Map<string, number>();
  mostAtOnce = 0;
  mostOfAKey = 0;
  aborted = 0;

  constructor(clock: Clock, behaves: (key: string, n: number, call: number) => Behaviour) {
    this.#clock = clock;
    this.#behaves = behaves;
  }

  async ask(key: string, { n }: Ask, signal: AbortSignal): Promise<Answer> {
    const call = (this.calls.get(`${key}/${String(n)}`) ?? 0) + 1;
    this.calls.set(`${key}/${String(n)}`, call);
    this.#count(key, 1);
    try {
      const behaviour = this.#behaves(key, n, call);
      if (behaviour === "hangs") return await hang(signal, () => this.aborted++);
      await this.#clock.sleep(CALL_MS, signal);
      if (behaviour === "fails") throw new Error(`no answer for ${key}`);
      if (behaviour === "not found") throw new NotFound(key);
      return { n, answeredMs: this.#clock.now() };
    } finally {
      this.#count(key, -1);
    }
  }

  #count(key: string, by: number): void {
    this.#open.set(key, (this.#open.get(key) ?? 0) + by);
    const all = [...this.#open.values()];
    this.mostAtOnce = Math.max(
      this.mostAtOnce,
      all.reduce((a, b) => a + b, 0),
    );
    this.mostOfAKey = Math.max(this.mostOfAKey, ...all);
  }
}

const hang = (signal: AbortSignal, onAbort: () => void): Promise<never> =>
  new Promise((_, reject) =>
    signal.addEventListener("abort", () => {
      onAbort();
      reject(signal.reason as Error);
    }),
  );

export const service = resource<Service, Record<never, never>>("service", {
  env: {},
  open: () => assert.fail("a test hands in its own"),
});

export const retry = (
  mode: RetryOptions["mode"],
  more: Partial<RetryOptions> = {},
): RetryOptions => ({
  mode,
  attempts: 4,
  backoff: { first: milliseconds(200), max: hours(1) },
  fatal: [NotFound],
  ...more,
});

export const callFlow = (
  policy: RetryOptions | undefined,
  state: "redis" | "memory" = "memory",
): Pipeline =>
  pipeline("flow", { state }, ({ from }) => {
    from(asks)
      .mapAsync("ask", (ask, { client, signal, record }) => client.ask(record.key, ask, signal), {
        client: service,
        concurrency: 8,
        timeout: milliseconds(TIMEOUT_MS),
        ...(policy === undefined ? {} : { retry: policy }),
      })
      .to(answers);
  });
