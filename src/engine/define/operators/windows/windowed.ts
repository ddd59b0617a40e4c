// Streams in windows, and what is made of the records of a key and window.
import type { MillraceError } from "../../../core/errors.ts";
import type { Operation, OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { WrongValue } from "../../../core/state.ts";
import type { Decimal } from "../../../core/decimal.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema } from "../../../core/schema.ts";
import type { KeyBound, WhenFull } from "../../../transform/bounds/bound.ts";
import { wrongOpenWindows } from "../../../transform/bounds/open-windows.ts";
import { passing } from "../../../transform/operator.ts";
import { mapping, type MapOperation } from "../../../transform/stateless/map.ts";
import type { WindowAggregate } from "../../../transform/windows/aligned.ts";
import type { WindowResult } from "../../../transform/windows/result.ts";
import { guide } from "../../nodes/missing.ts";
import { problem } from "../../nodes/problem.ts";
import type { StreamPlace } from "../../nodes/stream-node.ts";
import { boundOf, boundProblems, shownBound } from "../bounds/bounds.ts";
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
import { unorderedOf } from "./at-close.ts";
import { boundRulesOf, closePointOf, delayOf, reachOf, shapeOf, type Emission } from "./shapes.ts";
import { emissionOf, type WindowOf } from "../../windows.ts";

/** A key in one of its windows: [start, end), of sessions and sliding windows [start, end]. */
export interface Windowed<K> {
  readonly key: K;
  readonly start: Date;
  readonly end: Date;
}

export interface WindowOptions<E extends Emission = Emission> {
  /**
   * "update" (default) emits every change, "checkpoint" the last of a window and checkpoint, "close" each window once, when
   * it is closed. Sessions on "update" and "checkpoint": one that a record has made longer, or joined with another, is withdrawn
   * by null in front of the new one.
   */
  readonly emit?: E;
  /**
   * Windows that one key may have open at most; of sliding windows, times of its records. Left out: any number. Results depend on
   * the order of records where a bound is reached (docs/windows.md).
   */
  readonly windowsMax?: number;
  /**
   * The rule for one window more; asked for beside `windowsMax`. "dead-letter": the record that would open it is a letter, class
   * "full" · "halt": its task stops in front of it · "evict": the oldest window of the key goes, with what it has; what comes for
   * it later is late, reason "evicted". Of sliding windows the records of the oldest time go: windows that end later lack them.
   */
  readonly whenFull?: WhenFull;
}

export interface WindowAggregation<
  K,
  V,
  A,
  E extends Emission = Emission,
> extends WindowOptions<E> {
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
  { anyOrder = false }: Pick<Folding, "anyOrder">,
  emission: Emission,
): Pick<OperatorFacts, "comesOut" | "anyOrder"> {
  if (emission === "close") return anyOrder ? {} : { comesOut: "in-order" };
  return {
    comesOut: ["final", "it emits changes, of which the last of a window counts"],
    anyOrder,
  };
}

/** The store of the windows that are open, beside windows that have an entry each. */
function openStoreOf(name: string): Pick<Operation, "stores"> & { readonly openStore: string } {
  const openStore = `${name}-open`;
  const wrongValue: WrongValue = (_key, stored) => wrongOpenWindows(stored);
  const rules = { dueOfUndated: () => null, wrongValue };
  return { openStore, stores: [storeOf(openStore, { kind: "tagged-json" }, rules)] };
}

/** The facts of windows that are bounded. */
function bounded(
  facts: OperatorFacts,
  window: WindowOf,
  bound: KeyBound | undefined,
): OperatorFacts {
  if (bound === undefined) return facts;
  const rules = boundRulesOf(window);
  return {
    ...facts,
    problems: (node, nodes) => [
      ...(facts.problems?.(node, nodes) ?? []),
      ...(window.kind === "count" ? [unbounded(node)] : boundProblems(node, bound, rules)),
      ...takenStore(node, nodes),
    ],
    details: (of) => ({ ...facts.details?.(of), ...shownBound(bound, rules.option) }),
  };
}

const unbounded = (node: PlanNode): MillraceError =>
  problem(
    "MILL_BUILD_OPTION",
    node,
    "a count window is the only one of its key: leave windowsMax out",
  );

function takenStore(node: PlanNode, nodes: readonly PlanNode[]): MillraceError[] {
  const { openStore } = node.operation as Partial<WindowAggregate>;
  const other = nodes.find(({ name }) => name === openStore);
  if (other === undefined) return [];
  const detail = `its store would be called as the operator at ${other.site}`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}

const ofResults: OperatorFacts = { work: passing, named: "topic" };
const ofLate: OperatorFacts = { work: passing, named: "topic", ends: true };
const ofStream: OperatorFacts = { work: mapping, changes: true };

/** An aggregate that is emitted: of windows that are withdrawn before they close (N is null) it may be null. */
type Emitted<A, N, E extends Emission> = E extends "close" ? A : A | N;

/** The windows of a key's records. Records without a key are counted as `null-key`. N: null for sessions. */
export class WindowedStream<K, V, N = never> {
  readonly #source: StreamPlace<K, V>;
  readonly #window: WindowOf;

  constructor(source: StreamPlace<K, V>, window: WindowOf) {
    this.#source = source;
    this.#window = window;
  }

  #aggregate<A>(name: string, fold: Folding, options: WindowOptions) {
    const { windowsMax, whenFull } = options;
    const emission = emissionOf<Emission>(name, options.emit, ["update", "checkpoint", "close"]);
    const { init, add, merge, finish = (aggregate: unknown) => aggregate } = fold;
    const window = this.#window;
    const { kind, facts, format, wrongValue, reader } = shapeOf(window, fold, emission);
    const store = storeOf(name, format, { dueOfUndated: () => null, wrongValue, reader });
    const limit = boundOf(windowsMax, whenFull);
    const operation = {
      ...{ kind, store, window, init, add, merge, finish, emission },
      ...limit,
      ...(limit.bound !== undefined && kind === "window" ? openStoreOf(name) : {}),
    };
    const delayMs = emission === "close" ? delayOf(window) : 0;
    // The order of records decides which of them a bound refuses or lets go.
    const anyOrder = fold.anyOrder === true && limit.bound === undefined;
    const common = { closePoint: closePointOf(window), ...reachOf(window) };
    const own = {
      ...bounded(facts, window, limit.bound),
      ...common,
      ...(window.kind === "count" ? {} : comingOut({ anyOrder }, emission)),
      defers: emission === "checkpoint",
    };
    const order = (window.kind === "count" ? window.order : null) ?? undefined;
    const ordered = inOrder(name, operation, own, order);
    const placed = unorderedOf(name, { window, fold, emission }, limit.bound, common);
    const node = this.#source.next<WindowResult<K, A>>(name, ordered.operation, {
      ...ordered.facts,
      ...placed,
    });
    // Late records go on at once: time behind them is not held back.
    const timed = { ...ofResults, delayMs };
    const results = node.next<WindowResult<K, A>>(`${name}.results`, { kind: "arm" }, timed);
    const late = node.next<V>(`${name}.late`, { kind: "arm" }, ofLate);
    return new WindowedTable<K, A, V>(results, late as Stream<K, V>);
  }

  /** `aggregate("totals", { value: totals, init: noLines, add: addLine, emit: "close" })` */
  aggregate<A, E extends Emission = "update">(
    name: string,
    aggregation: WindowAggregation<K, V, A, E>,
  ): WindowedTable<K, Emitted<A, N, E>, V> {
    return this.#aggregate(name, folding(aggregation as never), aggregation);
  }

  /** The number of records of a key and window. `count("views", { emit: "close" })` */
  count<E extends Emission = "update">(
    name: string,
    options: WindowOptions<E> = {},
  ): WindowedTable<K, Emitted<number, N, E>, V> {
    return this.#aggregate(name, counting, options);
  }

  /**
   * Folds two values into one of the same type. Where windows are put together of parts (hopping, sliding, sessions) it folds
   * those too, so it must be associative. `reduce("newest", (a, b) => (b.at > a.at ? b : a))`
   */
  reduce<E extends Emission = "update">(
    name: string,
    fn: (a: V, b: V) => V,
    options: WindowOptions<E> = {},
  ): WindowedTable<K, Emitted<V, N, E>, V> {
    return this.#aggregate(
      name,
      reducing((value) => value, fn as Fold),
      options,
    );
  }

  /** `sum("spend", (line) => line.salesValue)` */
  sum<C extends Addable, E extends Emission = "update">(
    name: string,
    of: (value: V) => C,
    options: WindowOptions<E> = {},
  ): WindowedTable<K, Emitted<C, N, E>, V> {
    return this.#aggregate(name, summing(of), options);
  }

  /** `min("first", (o) => o.orderDate)` */
  min<C extends Comparable, E extends Emission = "update">(
    name: string,
    of: (value: V) => C,
    options: WindowOptions<E> = {},
  ): WindowedTable<K, Emitted<C, N, E>, V> {
    return this.#aggregate(name, finding(of, least), options);
  }

  /** `max("last", (o) => o.orderDate)` */
  max<C extends Comparable, E extends Emission = "update">(
    name: string,
    of: (value: V) => C,
    options: WindowOptions<E> = {},
  ): WindowedTable<K, Emitted<C, N, E>, V> {
    return this.#aggregate(name, finding(of, most), options);
  }

  /** The mean of numbers or Decimals; of Decimals to 20 places where it does not end. `avg("basket", (b) => b.total)` */
  avg<C extends number | Decimal, E extends Emission = "update">(
    name: string,
    of: (value: V) => C,
    options: WindowOptions<E> = {},
  ): WindowedTable<K, Emitted<C, N, E>, V> {
    return this.#aggregate(name, averaging(of), options);
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
