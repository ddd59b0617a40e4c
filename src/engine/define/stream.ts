// What a pipeline is written with: streams, grouped streams and tables. Each call adds a node to a graph; nothing runs.
import type { Decimal } from "../core/decimal.ts";
import type { Emission } from "../core/plan.ts";
import type { RecordContext } from "../core/record.ts";
import type { Encoder, Schema, SchemaFormat } from "../core/schema.ts";
import type { Duration } from "../core/span.ts";
import type { Resource } from "./calls/resource.ts";
import type { RetryOptions } from "./calls/retry.ts";
import type { RowTarget } from "./table.ts";
import type { TopicTarget } from "./topic.ts";

/** A callback: the value first, then its record. Pure and synchronous. */
export type Fn<K, V, R> = (value: V, record: RecordContext<K>) => R;
type Guard<K, V, S extends V> = (value: V, record: RecordContext<K>) => value is S;

/** What an `expect` does with a record that breaks its rule. `otherwise` has no default: it decides correctness. */
export interface ExpectOptions {
  readonly otherwise: "log" | "drop" | "dead-letter" | "halt";
  /** Data-quality dimension, such as "completeness". */
  readonly dimension?: string;
}

export interface RekeyOptions<K2, V = never> {
  /** Needed when the new key is no string. */
  readonly key?: Schema<K2>;
  /** Default: as many as the source has. */
  readonly partitions?: number;
  /**
   * How values lie in the topic between: an Avro schema evolves as any topic's does. Default: a value that no step has
   * changed keeps the bytes that it had in its topic; what the code has made is JSON.
   */
  readonly value?: { readonly format: SchemaFormat; readonly writes: Encoder<V> };
}

export type Tests<K, V> = Readonly<Record<string, Fn<K, V, boolean>>>;
/** The type that a branch's test narrows to. */
type ArmOf<V, T> = T extends ((value: V, record: never) => value is infer S extends V) ? S : V;

/** What a call is given beside the value. */
export interface Call<K, C> {
  readonly client: C;
  /** Aborts when the call has taken too long, and when the task is taken away. */
  readonly signal: AbortSignal;
  readonly record: RecordContext<K>;
}

export interface CallOptions<C> {
  readonly client?: Resource<C>;
  /** Calls at a time, of one task (a part on one partition). */
  readonly concurrency: number;
  /** A call that has not answered by then has failed. */
  readonly timeout: Duration;
  /** Default: the pipeline's, else a dead letter at the first failure. */
  readonly retry?: RetryOptions;
}

export interface DistinctOptions<V> {
  readonly by: (value: V) => KeyPart | readonly KeyPart[];
  readonly within: Duration;
  /**
   * Default "drop": every repeat is dropped. Else a repeat whose content differs from the first's is a conflict: a dead letter,
   * or dropped like the others and counted in `millrace_records_total` as `broken` ("log").
   */
  readonly onRepeat?: "drop" | ConflictOptions<V>;
}

export interface ConflictOptions<V> {
  readonly conflict: "dead-letter" | "log";
  /**
   * The part that two records must agree in. Default: the whole value, in whatever order its fields
   * are.
   */
  readonly content?: (value: V) => KeyPart | readonly KeyPart[];
}

/** The state that a record, or a tombstone, leaves its key, and what is told of it. */
export interface StateStep<S, R> {
  readonly state: S | null;
  readonly emit: Iterable<R>;
}

export interface StateOptions<K, V, S, R> {
  readonly state: Schema<S>;
  readonly map: (state: S | null, value: V, record: RecordContext<K>) => StateStep<S, R>;
  /** The step of a deleted key. Default: none, and the tombstone goes no further. */
  readonly onTombstone?: (state: S | null, record: RecordContext<K>) => StateStep<S, R>;
}

/** A stream of keyed records. Names are stable ids: kebab-case, unique in the pipeline. */
export interface Stream<K, V> {
  /** One value from one value. `map("normalise", (o) => ({ ...o, status: o.status.toLowerCase() }))` */
  map<R>(name: string, fn: Fn<K, V, R>): Stream<K, R>;
  /** None, one or many values from one. `flatMap("lines", (o) => o.lines)` */
  flatMap<R>(name: string, fn: Fn<K, V, Iterable<R>>): Stream<K, R>;
  /** Keeps the records whose test is true; a type guard narrows. `filter("paid", (o) => o.paid)` */
  filter<S extends V>(name: string, test: Guard<K, V, S>): Stream<K, S>;
  filter(name: string, test: Fn<K, V, boolean>): Stream<K, V>;
  /** Looks at each value and changes nothing. `peek("seen", (o) => counter.inc())` */
  peek(name: string, fn: Fn<K, V, void>): Stream<K, V>;
  /** A rule of data quality. `expect("positive", (o) => o.amount.gte(0n), { otherwise: "dead-letter" })` */
  expect<S extends V>(name: string, test: Guard<K, V, S>, options: ExpectOptions): Stream<K, S>;
  expect(name: string, test: Fn<K, V, boolean>, options: ExpectOptions): Stream<K, V>;
  /** Splits by the first test that is true; `rest` takes the others. `branch("by-type", { card: isCard, cash: isCash })` */
  branch<T extends Tests<K, V>>(
    name: string,
    tests: T,
  ): { readonly [Arm in keyof T]: Stream<K, ArmOf<V, T[Arm]>> } & { readonly rest: Stream<K, V> };
  /** Both streams as one; order is kept within each. `cards.merge("payments", cash)` */
  merge<W>(name: string, other: Stream<K, W>): Stream<K, V | W>;
  /** Applies your own operator: a function from stream to stream. `pipe(cleaned)` */
  pipe<S>(compose: (stream: Stream<K, V>) => S): S;
  /** A new key, through a repartition topic; a null key drops the record. `rekey("by-customer", (o) => o.customerId)` */
  rekey<K2 = string>(
    name: string,
    key: Fn<K, V, K2 | null>,
    ...options: string extends K2
      ? [RekeyOptions<K2, V>?]
      : [RekeyOptions<K2, V> & { key: Schema<K2> }]
  ): Stream<K2, V>;
  /** As `rekey`, to aggregate: records of one new key lie together. `groupBy("by-customer", (o) => o.customerId)` */
  groupBy<K2 = string>(
    name: string,
    key: Fn<K, V, K2 | null>,
    ...options: string extends K2
      ? [RekeyOptions<K2, V>?]
      : [RekeyOptions<K2, V> & { key: Schema<K2> }]
  ): GroupedStream<K2, V>;
  /** Groups by the key that records have. */
  groupByKey(): GroupedStream<K, V>;
  /**
   * The first record of each `by` among those of one key; it is remembered for the span, in stream time. A repeat is dropped;
   * `onRepeat` tells one that says something else than the first from one that says the same.
   * @example
   * stream.distinct("exact-repeats", { by: (o) => [o.orderId, o.updatedAt], within: days(7) });
   * stream.distinct("once", { by: (p) => p.id, within: days(7), onRepeat: { conflict: "dead-letter" } });
   */
  distinct(name: string, options: DistinctOptions<V>): Stream<K, V>;
  /**
   * A value and the state of its key into new state and any number of values. A null state is none, or deletes it. What is
   * told is as new as the newest record of its key. Tombstones reach `onTombstone` alone; without it they are dropped.
   * @example
   * stream.mapWithState("open-orders", {
   *   state: json<number>(),
   *   map: (n, order) => ({ state: (n ?? 0) + 1, emit: [{ ...order, n: (n ?? 0) + 1 }] }),
   *   onTombstone: (n, { key }) => ({ state: null, emit: n === null ? [] : [closed(key, n)] }),
   * });
   */
  mapWithState<S, R>(name: string, options: StateOptions<K, V, S, R>): Stream<K, R>;
  /**
   * One value from one value by a call to the outside, the only callback that may wait. Order is kept per key: one call of a
   * key at a time. Calls are at least once: after a fault a record is called for again, so they should be idempotent.
   * `mapAsync("place", (o, { client, signal }) => client.find(o.address, signal), { client: geocoder, concurrency: 8, timeout: seconds(2) })`
   */
  mapAsync<R, C = undefined>(
    name: string,
    fn: (value: V, call: Call<K, C>) => Promise<R>,
    options: CallOptions<C>,
  ): Stream<K, R>;
  /** Writes to a topic, by the same key. `to(cleanOrders)` */
  to(topic: TopicTarget<K, V>): void;
  /** Writes rows into a Postgres table, exactly once. `upsertInto(factOrders)` */
  upsertInto(table: RowTarget<V>): void;
}

/** What records can be compared by. */
export type KeyPart = string | number | bigint | boolean | Decimal | null;

/** Numbers that can be added and compared. Floats add up as floats do: money is a Decimal. */
export type Addable = number | bigint | Decimal;
export type Comparable = Addable | string;

export interface AggregateOptions {
  /** "update" (default) tells every change, "checkpoint" the last of a key and checkpoint. */
  readonly emit?: Emission;
}

export interface Aggregation<K, V, A> extends AggregateOptions {
  /** Fixes the type, the bytes, and what can be compared with a deployed store. */
  readonly value: Schema<A>;
  readonly init: (key: K) => A;
  /** The next aggregate, a new value; null deletes it, which a Postgres table does not do yet: the row stays. */
  readonly add: (aggregate: A, value: V, record: RecordContext<K>) => A | null;
}

/** Records that lie by the key they are grouped by. Records without a key are counted as `null-key`. */
export interface GroupedStream<K, V> {
  /** How many. `count("orders-by-customer")` */
  count(name: string, options?: AggregateOptions): Table<K, number>;
  /** `sum("spend", (line) => line.salesValue)` */
  sum<N extends Addable>(
    name: string,
    of: (value: V) => N,
    options?: AggregateOptions,
  ): Table<K, N>;
  /** `min("first-order", (o) => o.orderDate)` */
  min<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options?: AggregateOptions,
  ): Table<K, C>;
  /** `max("last-order", (o) => o.orderDate)` */
  max<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options?: AggregateOptions,
  ): Table<K, C>;
  /** The mean of numbers or Decimals; of Decimals to 20 places where it does not end. `avg("basket", (b) => b.total)` */
  avg<N extends number | Decimal>(
    name: string,
    of: (value: V) => N,
    options?: AggregateOptions,
  ): Table<K, N>;
  /** Two values into one of the same type. `reduce("newest", (a, b) => (b.at > a.at ? b : a))` */
  reduce(name: string, fn: (a: V, b: V) => V, options?: AggregateOptions): Table<K, V>;
  /** `aggregate("value", { value: customerValue, init: noOrders, add: addOrder })` */
  aggregate<A>(name: string, aggregation: Aggregation<K, V, A>): Table<K, A>;
}

/** One value a key, as a stream of its changes; a deleted key is a tombstone. */
export interface Table<K, V> {
  /** `map("rounded", (v) => v.round(2))` */
  map<R>(name: string, fn: Fn<K, V, R>): Table<K, R>;
  /**
   * Keys whose value does not pass are deleted downstream: a tombstone for each, also where there was nothing. A Postgres
   * table cannot delete yet, so one behind a filter is refused when the pipeline is built.
   * `filter("active", (v) => v.orders > 0)`
   */
  filter(name: string, test: Fn<K, V, boolean>): Table<K, V>;
  /** The changes as records. */
  toStream(): Stream<K, V>;
  /** A deleted key is a tombstone. */
  to(topic: TopicTarget<K, V>): void;
  /** Writes rows into a Postgres table; the row of a deleted key stays, and is counted as `tombstone`. */
  upsertInto(table: RowTarget<V>): void;
}
