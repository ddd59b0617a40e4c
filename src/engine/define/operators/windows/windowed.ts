// Streams in windows, and what is made of the records of a key and window.
import type { OperatorFacts } from "../../../core/plan.ts";
import type { Decimal } from "../../../core/decimal.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema } from "../../../core/schema.ts";
import { passing } from "../../../transform/operator.ts";
import { mapping, type MapOperation } from "../../../transform/stateless/map.ts";
import type { WindowOperation, WindowResult } from "../../../transform/windows/result.ts";
import { guide } from "../../nodes/missing.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import { inOrder } from "../order/order.ts";
import { storeOf } from "../../store.ts";
import type { Stream } from "../../stream.ts";
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
import { closePointOf, delayOf, reachOf, shapeOf } from "./shapes.ts";
import type { WindowOf } from "../../windows.ts";

/** A key in one of its windows: [start, end), of sessions and sliding windows [start, end]. */
export interface Windowed<K> {
  readonly key: K;
  readonly start: Date;
  readonly end: Date;
}

export interface WindowOptions {
  /**
   * "update" (default) emits every change, "checkpoint" the last of a window and checkpoint, "close" each window once, when
   * it is closed.
   */
  readonly emit?: WindowOperation["emission"];
}

export interface WindowAggregation<K, V, A> extends WindowOptions {
  /** Fixes the type, the bytes, and what can be compared with a deployed store. */
  readonly value: Schema<A>;
  readonly init: (key: K) => A;
  /** The next aggregate, a new value. */
  readonly add: (aggregate: A, value: V, record: RecordContext<K>) => A;
  /**
   * Makes one aggregate of two, that of the earlier records first. Sessions and sliding windows need it. With it, hopping windows
   * that are emitted on "close" change one entry a record, without it one for each of the record's windows.
   */
  readonly merge?: (a: A, b: A) => A;
}

/** A window that is emitted once is exact if its fold is; of its changes the last is what counts (O3). */
function comingOut(
  { anyOrder = false }: Folding,
  emission: WindowOperation["emission"],
): Pick<OperatorFacts, "comesOut" | "anyOrder"> {
  if (emission === "close") return anyOrder ? {} : { comesOut: "in-order" };
  return {
    comesOut: ["final", "it emits changes, of which the last of a window counts"],
    anyOrder,
  };
}

const ofResults: OperatorFacts = { work: passing, named: "topic" };
const ofLate: OperatorFacts = { work: passing, named: "topic", ends: true };
const ofStream: OperatorFacts = { work: mapping, changes: true };

/** The windows of a key's records. Records without a key are counted as `null-key`. */
export class WindowedStream<K, V> {
  readonly #source: StreamPlace<K, V>;
  readonly #window: WindowOf;

  constructor(source: StreamPlace<K, V>, window: WindowOf) {
    this.#source = source;
    this.#window = window;
  }

  #aggregate<A>(name: string, fold: Folding, { emit: emission = "update" }: WindowOptions) {
    const { init, add, merge, finish = (aggregate: unknown) => aggregate } = fold;
    const window = this.#window;
    const { kind, facts, format, wrongValue } = shapeOf(window, fold, emission);
    const store = storeOf(name, format, { dueOfUndated: () => null, wrongValue });
    const operation = { kind, store, window, init, add, merge, finish, emission };
    const delayMs = emission === "close" ? delayOf(window) : 0;
    const own = {
      ...facts,
      closePoint: closePointOf(window),
      ...reachOf(window),
      ...(window.kind === "count" ? {} : comingOut(fold, emission)),
      defers: emission === "checkpoint",
    };
    const order = (window.kind === "count" ? window.order : null) ?? undefined;
    const ordered = inOrder(name, operation, own, order);
    const node = this.#source.next<WindowResult<K, A>>(name, ordered.operation, ordered.facts);
    // Late records go on at once: time behind them is not held back.
    const timed = { ...ofResults, delayMs };
    const results = node.next<WindowResult<K, A>>(`${name}.results`, { kind: "arm" }, timed);
    const late = node.next<V>(`${name}.late`, { kind: "arm" }, ofLate);
    return new WindowedTable<K, A, V>(results, late as Stream<K, V>);
  }

  /** `aggregate("totals", { value: totals, init: noLines, add: addLine, emit: "close" })` */
  aggregate<A>(name: string, aggregation: WindowAggregation<K, V, A>): WindowedTable<K, A, V> {
    return this.#aggregate<A>(name, folding(aggregation as never), aggregation);
  }

  /** The number of records of a key and window. `count("views", { emit: "close" })` */
  count(name: string, options: WindowOptions = {}): WindowedTable<K, number, V> {
    return this.#aggregate<number>(name, counting, options);
  }

  /**
   * Folds two values into one of the same type. Where windows are put together of parts (hopping, sliding, sessions) it folds
   * those too, so it must be associative. `reduce("newest", (a, b) => (b.at > a.at ? b : a))`
   */
  reduce(name: string, fn: (a: V, b: V) => V, options: WindowOptions = {}): WindowedTable<K, V, V> {
    return this.#aggregate<V>(
      name,
      reducing((value) => value, fn as Fold),
      options,
    );
  }

  /** `sum("spend", (line) => line.salesValue)` */
  sum<N extends Addable>(
    name: string,
    of: (value: V) => N,
    options: WindowOptions = {},
  ): WindowedTable<K, N, V> {
    return this.#aggregate<N>(name, summing(of), options);
  }

  /** `min("first", (o) => o.orderDate)` */
  min<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: WindowOptions = {},
  ): WindowedTable<K, C, V> {
    return this.#aggregate<C>(name, finding(of, least), options);
  }

  /** `max("last", (o) => o.orderDate)` */
  max<C extends Comparable>(
    name: string,
    of: (value: V) => C,
    options: WindowOptions = {},
  ): WindowedTable<K, C, V> {
    return this.#aggregate<C>(name, finding(of, most), options);
  }

  /** The mean of numbers or Decimals; of Decimals to 20 places where it does not end. `avg("basket", (b) => b.total)` */
  avg<N extends number | Decimal>(
    name: string,
    of: (value: V) => N,
    options: WindowOptions = {},
  ): WindowedTable<K, N, V> {
    return this.#aggregate<N>(name, averaging(of), options);
  }
}

guide("a windowed stream", WindowedStream);

/** A value for each key and window. */
export class WindowedTable<K, A, V> {
  /** Records that came when a window of theirs was closed. Each also counts as `late`, unless another window took it. */
  readonly late: Stream<K, V>;
  readonly #results: StreamPlace<K, WindowResult<K, A>>;

  constructor(results: StreamPlace<K, WindowResult<K, A>>, late: Stream<K, V>) {
    this.#results = results;
    this.late = late;
  }

  /**
   * The values as records, each with the key of its records, and the last ms of its window for a time when it is closed.
   * `toStream("views", (views, { key, start }) => ({ user: key, from: start, views }))`
   */
  toStream<R>(name: string, fn: (aggregate: A, window: Windowed<K>) => R): Stream<K, R> {
    const operation: MapOperation = {
      kind: "map",
      fn: (result) => {
        const { aggregate, key, startMs, endMs } = result as WindowResult<K, A>;
        return fn(aggregate, { key, start: new Date(startMs), end: new Date(endMs) });
      },
    };
    return this.#results.next<R>(name, operation, ofStream);
  }
}

guide("a windowed table", WindowedTable);
