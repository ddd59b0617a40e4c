// Sends numbered records at a steady pace, through whatever happens to Kafka. A send whose answer was lost is not
// repeated: what counts is what the topic holds in the end.
import { setTimeout as delay } from "node:timers/promises";
import { isRetriable } from "../../src/engine/core/errors.ts";
import type { KafkaPort, PlainProducer } from "../../src/engine/core/kafka.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { eventually } from "./eventually.ts";

export interface FeederOptions {
  readonly kafka: KafkaPort;
  readonly perSecond: number;
  record(n: number): OutRecord;
  /** Sent together with that record. */
  beside?(n: number): readonly OutRecord[];
}

const TICK_MS = 50;

export class Feeder {
  readonly #options: FeederOptions;
  readonly #life = new AbortController();
  readonly #running: Promise<void>;
  /** Numbers that were acknowledged. */
  readonly acknowledged: number[] = [];
  next = 0;
  #burst = 0;
  #isPaused = false;
  #isSending = false;

  constructor(options: FeederOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#life.abort();
    await this.#running;
  }

  /** Sends so many at once with the next tick; resolves when they are acknowledged. */
  async burst(records: number): Promise<void> {
    this.#burst = records;
    const enough = this.next + records;
    await eventually("a burst is acknowledged", () =>
      Promise.resolve((this.acknowledged.at(-1) ?? 0) >= enough - 1 ? true : null),
    );
  }

  /** Nothing is sent from now on; resolves when nothing is under way. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await eventually("the last records are acknowledged", () => (this.#isSending ? null : true));
  }
  resume(): void {
    this.#isPaused = false;
  }

  async #run(): Promise<void> {
    const { kafka, perSecond, record, beside = () => [] } = this.#options;
    const { signal } = this.#life;
    let producer: PlainProducer | null = null;
    while (!signal.aborted) {
      if (this.#isPaused) {
        await pausing(signal);
        continue;
      }
      const length = (perSecond * TICK_MS) / 1000 + this.#burst;
      this.#burst = 0;
      const numbers = Array.from({ length }, () => this.next++);
      this.#isSending = true;
      try {
        producer ??= kafka.producer();
        await producer.send(numbers.flatMap((n) => [record(n), ...beside(n)]));
        this.acknowledged.push(...numbers);
      } catch (error) {
        if (!isRetriable(error)) throw error;
        producer = null;
      } finally {
        this.#isSending = false;
      }
      await pausing(signal);
    }
    await producer?.close();
  }
}

/** Its rejection would say only that the feeder was stopped. */
const pausing = (signal: AbortSignal): Promise<void> =>
  delay(TICK_MS, undefined, { signal }).catch(() => undefined);
