// Streams grouped by key, and what is made of all records of a key. Every aggregate is a composition of one operator.
import type { OperatorFacts } from "../../../core/plan.ts";
import type { Decimal } from "../../../core/decimal.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema, SchemaFormat } from "../../../core/schema.ts";
import { aggregating, type Aggregate } from "../../../transform/keyed/aggregate.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import { storeOf } from "../../store.ts";
import type { Fn, Stream } from "../../stream.ts";
import type { Rekeying } from "../ends/rekey.ts";
import {
  addable,
  averageable,
  comparable,
  least,
  meanOf,
  most,
  plus,
  type Fold,
  type Mean,
} from "./fold.ts";
import { Table } from "./table.ts";

/** Numbers that can be added and compared. Floats add up as floats do: money is a Decimal. */
export type Addable = number | bigint | Decimal;
export type Comparable = Addable | string;

export interface AggregateOptions {
  /** "update" (default) tells every change, "checkpoint" the last of a key and checkpoint. */
  readonly emit?: Aggregate["emission"];
}

export interface Aggregation<K, V, A> extends AggregateOptions {
  /** Fixes the type, the bytes, and what can be compared with a deployed store. */
  readonly value: Schema<A>;
  readonly init: (key: K) => A;
  /** The next aggregate, a new value; null deletes it, which a Postgres table does not do yet: the row stays. */
  readonly add: (aggregate: A, value: V, record: RecordContext<K>) => A | null;
}

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /** As `rekey`, to aggregate: records of one new key lie together. `groupBy("by-customer", (o) => o.customerId)` */
    groupBy<K2 = string>(
      name: string,
      key: Fn<K, V, K2 | null>,
      ...options: Rekeying<K2, V>
    ): GroupedStream<K2, V>;
    /** Groups by the key that records have. */
    groupByKey(): GroupedStream<K, V>;
  }
}

export function groupBy(
  this: Stream<unknown, unknown>,
  ...given: Parameters<Stream<unknown, unknown>["rekey"]>
): GroupedStream<unknown, unknown> {
  return new GroupedStream(this.rekey(...given));
}

export function groupByKey(this: Stream<unknown, unknown>): GroupedStream<unknown, unknown> {
  return new GroupedStream(this);
}

const internal: SchemaFormat = { kind: "tagged-json" };

type Core = Pick<Aggregate, "init" | "add"> & { readonly format: SchemaFormat };

const facts: OperatorFacts = { work: aggregating, changes: true, folds: true };

/** Records that lie by the key they are grouped by. Records without a key are counted as `null-key`. */
export class GroupedStream<K, V> {
  readonly #source: StreamPlace<K, V>;

  constructor(source: Stream<K, V>) {
    this.#source = source as StreamPlace<K, V>;
  }

  #aggregate<A>(
    name: string,
    { format, init, add }: Core,
    { emit: emission = "update" }: AggregateOptions,
  ): Table<K, A> {
    const operation = { kind: "aggregate", store: storeOf(name, format), init, add, emission };
    const holds = emission === "checkpoint";
    return new Table<K, A>(this.#source.next(name, operation, { ...facts, holds }));
  }

  /** `aggregate("value", { value: customerValue, init: noOrders, add: addOrder })` */
  aggregate<A>(name: string, aggregation: Aggregation<K, V, A>): Table<K, A> {
    const core = { ...aggregation, format: aggregation.value.format } as unknown as Core;
    return this.#aggregate(name, core, aggregation);
  }

  /** How many. `count("orders-by-customer")` */
  count(name: string, options: AggregateOptions = {}): Table<K, number> {
    const core = { format: internal, init: () => 0, add: (n: unknown) => (n as number) + 1 };
    return this.#aggregate(name, core, options);
  }

  /** Two values into one of the same type. `reduce("newest", (a, b) => (b.at > a.at ? b : a))` */
  reduce(name: string, fn: (a: V, b: V) => V, options: AggregateOptions = {}): Table<K, V> {
    return this.#folded(name, (value) => value, fn as Fold, options);
  }

  /** `sum("spend", (line) => line.salesValue)` */
  sum<N extends Addable>(
    name: string,
    of: (value: V) => N,
    options: AggregateOptions = {},
  ): Table<K, N> {
    return this.#folded(name, (value) => addable(of(value)) as N, plus, options);
  }

  /** `min("first-order", (o) => o.orderDate)` */
  min<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: AggregateOptions = {},
  ): Table<K, C> {
    return this.#folded(name, (value) => comparable(of(value)) as C, least, options);
  }

  /** `max("last-order", (o) => o.orderDate)` */
  max<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: AggregateOptions = {},
  ): Table<K, C> {
    return this.#folded(name, (value) => comparable(of(value)) as C, most, options);
  }

  /** The mean of numbers or Decimals; of Decimals to 20 places where it does not end. `avg("basket", (b) => b.total)` */
  avg<N extends number | Decimal>(
    name: string,
    of: (value: V) => N,
    options: AggregateOptions = {},
  ): Table<K, N> {
    const add = (mean: unknown, value: unknown): Mean => {
      const { sum, count } = mean as Mean;
      const one = averageable(of(value as V)) as N;
      return { sum: sum === null ? one : (plus(sum, one) as N), count: count + 1 };
    };
    const init = (): Mean => ({ sum: null, count: 0 });
    return this.#aggregate<Mean>(name, { format: internal, init, add }, options).map(
      `${name}-mean`,
      (mean) => meanOf(mean) as N,
    );
  }

  /** From the first value on: there is nothing to begin with. */
  #folded<A>(
    name: string,
    of: (value: V) => A,
    fold: Fold,
    options: AggregateOptions,
  ): Table<K, A> {
    const add = (aggregate: unknown, value: unknown): unknown => {
      const one = of(value as V);
      return aggregate === null ? one : fold(aggregate, one);
    };
    return this.#aggregate<A>(name, { format: internal, init: () => null, add }, options);
  }
}
