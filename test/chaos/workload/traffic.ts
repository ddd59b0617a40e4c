// What is sent: numbered orders of some customers in some shops without end, a refused one now and then, and whatever a
// fault asks for in between. Each record says in a header what must become of it, which only the oracle reads.
import { setTimeout as delay } from "node:timers/promises";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { type Headers, type OutRecord, partitionOf } from "../../../src/engine/core/record.ts";
import type { AppFigures } from "../../support/app-figures.ts";
import { PARTITIONS, type ChaosApp, type Order } from "../../support/apps/chaos.ts";
import { Feeder } from "../../support/feeder.ts";
import type { Fate, LetterForm } from "./fates.ts";
import { beside, isTick, type OddTick, type TickClock } from "./ticks.ts";

export interface Special {
  readonly fate: Fate;
  /** Default: whole. */
  readonly letter?: LetterForm;
  readonly order?: Partial<Order>;
  /** By another schema than the topic's own. */
  readonly encode?: (order: Order) => Buffer;
  /** In the place of the encoded order, which is given. */
  readonly value?: (encoded: Buffer) => Buffer | null;
  /** Null is no key. */
  readonly key?: Buffer | null;
  readonly headers?: Headers;
  readonly timestamp?: number;
}

const CUSTOMERS = 160;
const SHOPS = 40;
const REFUSED_EVERY = 40;
const RECENT_MAX = 200;

type Encode = (order: Order) => Buffer;

export interface Rate {
  readonly perSecond: number;
  /** Whether a refused order comes now and then, from the first on; so unless it is said otherwise. */
  readonly hasRefused?: boolean;
}

export class Traffic {
  readonly feeder: Feeder;
  /** Bytes of an order under the registered schema. */
  readonly encode: Encode;
  readonly #app: ChaosApp;
  readonly #queue: Special[] = [];
  /** The numbers that were used for them. */
  readonly #injected: number[] = [];
  /** The last ordinary orders that were good. */
  readonly recent: Order[] = [];
  readonly #hasRefused: boolean;
  readonly #oddTicks: OddTick[] = [];
  /** The numbers of the orders beside which they came. */
  readonly #odd: number[] = [];
  /** Set while every other record is written by a newer schema. */
  newer: Encode | null = null;

  private constructor(app: ChaosApp, figures: AppFigures, encode: Encode, rate: Rate) {
    const { perSecond, hasRefused = true } = rate;
    this.#hasRefused = hasRefused;
    this.#app = app;
    const clock: TickClock = { startMs: Date.now(), perSecond };
    this.encode = encode;
    this.feeder = new Feeder({
      kafka: figures.clients.kafka,
      perSecond,
      record: (n) => this.#record(n),
      beside: (n) => beside(app, clock, n, this.#oddTick(n)),
    });
  }

  static async start(app: ChaosApp, figures: AppFigures, rate: Rate): Promise<Traffic> {
    const encode = await figures.encoder(app.orders.name);
    return new Traffic(app, figures, encode, rate);
  }

  /** Puts these among the next records; resolves with how many of them Kafka has acknowledged. */
  async inject(
    specials: readonly Special[],
    { isBatch = false }: { readonly isBatch?: boolean } = {},
  ): Promise<number> {
    const from = this.#injected.length;
    this.#queue.push(...specials);
    if (isBatch) await this.feeder.burst(specials.length);
    while (this.#queue.length > 0) await delay(50);
    return this.#acknowledged(this.#injected.slice(from, from + specials.length));
  }

  /** Makes the next ticks such ones; resolves with how many of them Kafka has acknowledged. */
  async injectTicks(odd: readonly OddTick[]): Promise<number> {
    const from = this.#odd.length;
    this.#oddTicks.push(...odd);
    while (this.#oddTicks.length > 0) await delay(50);
    return this.#acknowledged(this.#odd.slice(from, from + odd.length));
  }

  async #acknowledged(numbers: readonly number[]): Promise<number> {
    const { next } = this.feeder;
    while ((this.feeder.acknowledged.at(-1) ?? 0) < next - 1) await delay(50);
    const sent = new Set(numbers);
    return this.feeder.acknowledged.filter((n) => sent.has(n)).length;
  }

  #oddTick(n: number): OddTick | undefined {
    const odd = isTick(n) ? this.#oddTicks.shift() : undefined;
    if (odd !== undefined) this.#odd.push(n);
    return odd;
  }

  /** One order for each partition of the input and each of the sums: what passes proves that nothing is stuck. */
  sentinels(): Promise<number> {
    const customers = onePerPartition("end");
    const shops = onePerPartition("end-shop");
    return this.inject(
      customers.flatMap((customer) =>
        shops.map((shop): Special => ({ fate: "good", order: { customer, shop } })),
      ),
    );
  }

  /** A good order that must never count: its transaction is not committed. */
  foreign(): Buffer {
    return this.encode({ ...orderOf(0), id: "never", amount: decimal("1") });
  }

  #record(n: number): OutRecord {
    const wanted = this.#queue.shift();
    if (wanted !== undefined) this.#injected.push(n);
    const special = wanted ?? this.#ordinary(n);
    const order: Order = { ...orderOf(n), amount: amountOf(n), ...special.order };
    const encoded = (special.encode ?? this.encode)(order);
    const key = special.key === undefined ? Buffer.from(order.customer) : special.key;
    const fate = Buffer.from(special.fate);
    return {
      topic: this.#app.orders.name,
      partition: partitionOf(key, PARTITIONS, n),
      key,
      value: special.value === undefined ? encoded : special.value(encoded),
      headers: [
        ...(special.headers ?? []),
        ["fate", fate],
        ["letter", Buffer.from(special.letter ?? "whole")],
        ["n", Buffer.from(String(n))],
      ],
      timestamp: special.timestamp ?? Date.now(),
    };
  }

  #ordinary(n: number): Special {
    const encode = (n % 2 === 0 ? this.newer : null) ?? this.encode;
    if (this.#hasRefused && n % REFUSED_EVERY === 7)
      return { fate: "rule", encode, order: { amount: decimal("-1") } };
    this.recent.push({ ...orderOf(n), amount: amountOf(n) });
    if (this.recent.length > RECENT_MAX) this.recent.shift();
    return { fate: "good", encode };
  }
}

const amountOf = (n: number) => decimal(BigInt(1 + ((n * 7_919) % 100_003))).div(100n);

/** A customer buys in every shop in turn. */
const orderOf = (n: number): Omit<Order, "amount"> => ({
  id: `o${String(n)}`,
  customer: `c${String(n % CUSTOMERS)}`,
  shop: `S${String(Math.floor(n / 7) % SHOPS)}`,
  note: "",
});

function onePerPartition(name: string): string[] {
  const found: string[] = [];
  for (let i = 0; found.filter((one) => one !== undefined).length < PARTITIONS; i++) {
    const key = `${name}${String(i)}`;
    found[partitionOf(Buffer.from(key), PARTITIONS, 0)] ??= key;
  }
  return found;
}
