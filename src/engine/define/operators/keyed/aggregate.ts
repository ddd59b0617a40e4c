// Streams grouped by key, and what is made of all records of a key. Every aggregate is a composition of one operator.
import type { OperatorFacts } from "../../../core/plan.ts";
import type { Decimal } from "../../../core/decimal.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema } from "../../../core/schema.ts";
import type { SessionWindow } from "../../../core/window-span.ts";
import { aggregating, type Aggregate } from "../../../transform/keyed/aggregate.ts";
import { guide } from "../../nodes/missing.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import { inOrder } from "../order/order.ts";
import type { Orderable } from "../../windows.ts";
import { storeOf } from "../../store.ts";
import type { Fn, Stream } from "../../stream.ts";
import type { Rekeying } from "../ends/rekey.ts";
import { Table } from "./table.ts";
import {
  averaging,
  counting,
  finding,
  folding,
  least,
  most,
  reducing,
  summing,
  type Addable,
  type Comparable,
  type Fold,
  type Folding,
} from "../../folds.ts";
import { WindowedStream } from "../windows/windowed.ts";
import { emissionOf, isWindow, noWindow, type WindowOf } from "../../windows.ts";

export interface AggregateOptions extends Orderable {
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

const facts: OperatorFacts = {
  ...{ work: aggregating, changes: true, folds: true },
  comesOut: ["final", "it emits changes, of which the last of a key counts"],
};

/** Records in the partition of the key that groups them. Records without a key are counted as `null-key`. */
export class GroupedStream<K, V> {
  readonly #source: StreamPlace<K, V>;

  constructor(source: Stream<K, V>) {
    this.#source = source as StreamPlace<K, V>;
  }

  #aggregate<A>(
    name: string,
    { format, init, add, wrongValue, anyOrder = false }: Folding,
    { emit, order }: AggregateOptions,
  ): Table<K, A> {
    const emission = emissionOf<Aggregate["emission"]>(name, emit, ["update", "checkpoint"]);
    const store = storeOf(name, format, wrongValue === undefined ? {} : { wrongValue });
    const operation = { kind: "aggregate", store, init, add, emission };
    const defers = emission === "checkpoint";
    const ordered = inOrder(name, operation, { ...facts, defers, anyOrder }, order);
    return new Table<K, A>(this.#source.next(name, ordered.operation, ordered.facts));
  }

  /**
   * Aggregates by windows of event time: each record belongs to those that its time lies in.
   * `windowedBy(tumbling({ size: minutes(5), grace: minutes(1) })).count("views")`
   */
  windowedBy<W extends WindowOf>(
    window: W,
  ): WindowedStream<K, V, W extends SessionWindow ? null : never> {
    if (!isWindow(window)) throw noWindow(window);
    return new WindowedStream(this.#source, window);
  }

  /** `aggregate("value", { value: customerValue, init: noOrders, add: addOrder })` */
  aggregate<A>(name: string, aggregation: Aggregation<K, V, A>): Table<K, A> {
    return this.#aggregate(name, folding(aggregation as never), aggregation);
  }

  /** The number of records of a key. `count("orders-by-customer")` */
  count(name: string, options: AggregateOptions = {}): Table<K, number> {
    return this.#aggregate(name, counting, options);
  }

  /** Folds two values into one of the same type. `reduce("newest", (a, b) => (b.at > a.at ? b : a))` */
  reduce(name: string, fn: (a: V, b: V) => V, options: AggregateOptions = {}): Table<K, V> {
    return this.#aggregate(
      name,
      reducing((value) => value, fn as Fold),
      options,
    );
  }

  /** `sum("spend", (line) => line.salesValue)` */
  sum<N extends Addable>(
    name: string,
    of: (value: V) => N,
    options: AggregateOptions = {},
  ): Table<K, N> {
    return this.#aggregate(name, summing(of), options);
  }

  /** `min("first-order", (o) => o.orderDate)` */
  min<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: AggregateOptions = {},
  ): Table<K, C> {
    return this.#aggregate(name, finding(of, least), options);
  }

  /** `max("last-order", (o) => o.orderDate)` */
  max<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: AggregateOptions = {},
  ): Table<K, C> {
    return this.#aggregate(name, finding(of, most), options);
  }

  /** The mean of numbers or Decimals; of Decimals to 20 places where it does not end. `avg("basket", (b) => b.total)` */
  avg<N extends number | Decimal>(
    name: string,
    of: (value: V) => N,
    options: AggregateOptions = {},
  ): Table<K, N> {
    const { finish, ...mean } = averaging(of);
    return this.#aggregate<unknown>(name, mean, options).map(
      `${name}-mean`,
      (sums) => finish?.(sums) as N,
    );
  }
}

guide("a grouped stream", GroupedStream);
