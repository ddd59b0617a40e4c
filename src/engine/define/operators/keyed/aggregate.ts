// Streams grouped by key, and what is made of all records of a key. Every aggregate is a composition of one operator.
import type { OperatorFacts } from "../../../core/plan.ts";
import { decimal, isDecimal, type Decimal } from "../../../core/decimal.ts";
import { kindOf, Mistake, settled } from "../../../core/errors.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema, SchemaFormat } from "../../../core/schema.ts";
import type { WrongValue } from "../../../core/state.ts";
import { aggregating, type Aggregate } from "../../../transform/keyed/aggregate.ts";
import { guide } from "../../nodes/missing.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import { storeOf } from "../../store.ts";
import type { Fn, Stream } from "../../stream.ts";
import type { Rekeying } from "../ends/rekey.ts";
import { Table } from "./table.ts";

/** Numbers that can be added and compared. Floats add up as floats do: money is a Decimal. */
export type Addable = number | bigint | Decimal;
export type Comparable = Addable | string;

export interface AggregateOptions {
  /** "update" (default) emits every change, "checkpoint" the last of a key and checkpoint. */
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
    /** As `rekey`, to aggregate: a partition has all records of a key. `groupBy("by-customer", (o) => o.customerId)` */
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

type Core = Pick<Aggregate, "init" | "add"> & {
  readonly format: SchemaFormat;
  readonly wrongValue?: WrongValue;
};

const facts: OperatorFacts = { work: aggregating, changes: true, folds: true };

/** Records in the partition of the key that groups them. Records without a key are counted as `null-key`. */
export class GroupedStream<K, V> {
  readonly #source: StreamPlace<K, V>;

  constructor(source: Stream<K, V>) {
    this.#source = source as StreamPlace<K, V>;
  }

  #aggregate<A>(
    name: string,
    { format, init, add, wrongValue }: Core,
    { emit: emission = "update" }: AggregateOptions,
  ): Table<K, A> {
    const store = storeOf(name, format, wrongValue === undefined ? {} : { wrongValue });
    const operation = { kind: "aggregate", store, init, add, emission };
    const defers = emission === "checkpoint";
    return new Table<K, A>(this.#source.next(name, operation, { ...facts, defers }));
  }

  /** `aggregate("value", { value: customerValue, init: noOrders, add: addOrder })` */
  aggregate<A>(name: string, aggregation: Aggregation<K, V, A>): Table<K, A> {
    const { init, add, value } = aggregation;
    const core = { init, add, format: value.format } as unknown as Core;
    return this.#aggregate(name, core, aggregation);
  }

  /** The number of records of a key. `count("orders-by-customer")` */
  count(name: string, options: AggregateOptions = {}): Table<K, number> {
    const add = (n: unknown): number => (n as number) + 1;
    const core = { format: internal, init: () => 0, add, wrongValue: wrongCount };
    return this.#aggregate(name, core, options);
  }

  /** Folds two values into one of the same type. `reduce("newest", (a, b) => (b.at > a.at ? b : a))` */
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

guide("a grouped stream", GroupedStream);

// Folds of the values of one key: sums, extremes and means of numbers, bigints and Decimals.

type Fold = (a: unknown, b: unknown) => unknown;

interface Mean {
  readonly sum: number | Decimal | null;
  readonly count: number;
}

function meanOf({ sum, count }: Mean): number | Decimal {
  if (typeof sum === "number") return sum / count;
  return (sum ?? decimal("0")).div(BigInt(count));
}

const wrongCount: WrongValue = (_key, value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? null : "it is no count";

/** The value, if it adds up; throws a Mistake for anything else, also as the first of a key. */
function addable(value: unknown): number | bigint | Decimal {
  if (Number.isFinite(value) || typeof value === "bigint" || isDecimal(value))
    return value as number | bigint | Decimal;
  throw new Mistake(
    `finite numbers, bigints and Decimals add up; received ${kindOf(settled(value))}`,
  );
}

/** The value, if it has a mean. */
function averageable(value: unknown): number | Decimal {
  const one = addable(value);
  if (typeof one === "bigint")
    throw new Mistake("numbers and Decimals have a mean; received a bigint");
  return one;
}

/** The value, if it compares; throws a Mistake for anything else, also as the first of a key. */
function comparable(value: unknown): unknown {
  if (typeof value === "string") return value;
  if (Number.isFinite(value) || typeof value === "bigint" || isDecimal(value)) return value;
  const kinds = "finite numbers, bigints, texts and Decimals compare";
  throw new Mistake(`${kinds}; received ${kindOf(settled(value))}`);
}

function plus(a: unknown, b: unknown): number | bigint | Decimal {
  if (typeof a === "number" && typeof b === "number") return addable(a + b);
  if (typeof a === "bigint" && typeof b === "bigint") return a + b;
  if (isDecimal(a) && isDecimal(b)) return a.plus(b);
  throw new Mistake(`the values of a key add up by one kind; received ${both(a, b)}`);
}

const least: Fold = (a, b) => (compare(b, a) < 0 ? b : a);
const most: Fold = (a, b) => (compare(b, a) > 0 ? b : a);

/** Negative, 0 or positive. */
function compare(a: unknown, b: unknown): number {
  if (isDecimal(a) && isDecimal(b)) return a.cmp(b);
  if (typeof a !== typeof b || typeof a === "object")
    throw new Mistake(`the values of a key compare by one kind; received ${both(a, b)}`);
  return (a as number) < (b as number) ? -1 : a === b ? 0 : 1;
}

const nameOf = (value: unknown): string => (isDecimal(value) ? "a Decimal" : kindOf(value));
const both = (a: unknown, b: unknown): string => `${nameOf(a)} and ${nameOf(b)}`;
