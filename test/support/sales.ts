// Traffic for the app "totals" with what it must come to: numbered sales, sent at a rate or at once.
import { setTimeout as delay } from "node:timers/promises";
import type { AppFigures } from "./app-figures.ts";
import type { Sale } from "./apps/totals.ts";

const SHOPS = 7;

const saleOf = (n: number): Sale => ({ shop: `shop-${String(n % SHOPS)}`, amount: 1 + (n % 13) });

export class Sales {
  readonly #figures: AppFigures;
  readonly #topic: string;
  sent = 0;

  constructor(figures: AppFigures, topic: string) {
    this.#figures = figures;
    this.#topic = topic;
  }

  /** The totals that they must come to; the sales of `bonus` count one more. */
  totals(bonus?: string): { shop: string; total: number }[] {
    const sums = new Map<string, number>();
    for (let n = 0; n < this.sent; n++) {
      const { shop, amount } = saleOf(n);
      sums.set(shop, (sums.get(shop) ?? 0) + amount + (shop === bonus ? 1 : 0));
    }
    return [...sums]
      .map(([shop, total]) => ({ shop, total }))
      .sort((a, b) => (a.shop < b.shop ? -1 : 1));
  }

  async send(count: number): Promise<void> {
    const producer = this.#figures.clients.kafka.producer();
    await producer.send(this.#next(count));
    await producer.close();
  }

  /** Records that are no sales, of which the totals know nothing. */
  async spoil(count: number): Promise<void> {
    const value = Buffer.from("no sale");
    const producer = this.#figures.clients.kafka.producer();
    const spoiled = Array.from({ length: count }, (_, i) => ({
      ...{ topic: this.#topic, partition: i % 2, key: Buffer.from("till"), value, headers: [] },
      timestamp: Date.now(),
    }));
    await producer.send(spoiled);
    await producer.close();
  }

  /** Sends at this rate until it is stopped; resolves when the last one lies in its topic. */
  flow(perSecond: number): { stop(): Promise<void> } {
    let isOver = false;
    const flowing = (async () => {
      const producer = this.#figures.clients.kafka.producer();
      const startMs = performance.now();
      for (let count = 0; !isOver;) {
        const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000) - count;
        if (due > 0) await producer.send(this.#next(due));
        count += Math.max(0, due);
        await delay(20);
      }
      await producer.close();
    })();
    return {
      stop: () => {
        isOver = true;
        return flowing;
      },
    };
  }

  #next(count: number) {
    const first = this.sent;
    this.sent += count;
    return Array.from({ length: count }, (_, i) => ({
      topic: this.#topic,
      partition: (first + i) % 2,
      key: Buffer.from(`till-${String((first + i) % 5)}`),
      value: Buffer.from(JSON.stringify(saleOf(first + i))),
      headers: [],
      timestamp: Date.now(),
    }));
  }
}
