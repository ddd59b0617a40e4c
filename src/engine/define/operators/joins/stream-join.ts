// Joins of two streams by key and time: join, leftJoin, outerJoin.
import type { OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { Duration, RecordCount } from "../../../core/span.ts";
import { wrongKept } from "../../../transform/bounds/kept-records.ts";
import { widthOf } from "../../../transform/joins/buckets.ts";
import { joiningStreams, type StreamJoin } from "../../../transform/joins/stream-join.ts";
import { passing } from "../../../transform/operator.ts";
import type { WrongValue } from "../../../core/state.ts";
import { readingBuffers } from "../../../transform/shown/waiting.ts";
import { problem } from "../../nodes/problem.ts";
import { boundProblems, recordBoundOf, recordRules, shownBound } from "../bounds/bounds.ts";
import { StreamNode, type StreamPlace } from "../../nodes/stream-node.ts";
import { storeOf } from "../../store.ts";
import type { Stream } from "../../stream.ts";

/** The span of time in which a right record is a partner of a left one. Nothing here has a default. */
export interface JoinOptions {
  /** The right record is so much older than the left one at most. */
  readonly before: Duration;
  /** The right record is so much newer at most. */
  readonly after: Duration;
  /** The largest age of a record that is taken: how far behind the time of its source it may be. */
  readonly grace: Duration;
  /** Records of one key and side that are kept at most: `records(10_000)`. Left out: any number. */
  readonly recordsMax?: RecordCount;
  /**
   * The rule for one record more; asked for beside `recordsMax`. "dead-letter": it is a letter, class "full", and no partner of
   * anything · "halt": its task stops in front of it.
   */
  readonly whenFull?: "dead-letter" | "halt";
}

/** The results of a join of streams, and the records that came too late for it. */
export interface JoinedStream<K, V, W, R> extends Stream<K, R> {
  /** Left records older than the grace. Each also counts as `late`. */
  readonly lateLeft: Stream<K, V>;
  /** Right records older than the grace. Each also counts as `late`. */
  readonly lateRight: Stream<K, W>;
}

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /**
     * Joins each record with those of the other stream that have its key and lie in its span of time: one result a pair, with the
     * newer time of the two. A record without a partner comes to nothing.
     * @example
     * const paid = orders.join("paid", payments, (order, payment) => ({ ...order, paidBy: payment.method }), {
     *   before: minutes(0), after: minutes(5), grace: minutes(1),
     * });
     * paid.lateRight.to(latePayments);
     */
    join<W, R>(
      name: string,
      other: Stream<K, W>,
      joiner: (left: NonNullable<V>, right: NonNullable<W>) => R,
      options: JoinOptions,
    ): JoinedStream<K, V, W, R>;
    /**
     * As `join`; a left record without a partner is joined with null, once none can come any more: when time has passed its own
     * by `after` and `grace`.
     * @example
     * orders.leftJoin("with-payment", payments, (order, payment) => ({ ...order, isPaid: payment !== null }), {
     *   before: minutes(0), after: minutes(5), grace: minutes(1),
     * });
     */
    leftJoin<W, R>(
      name: string,
      other: Stream<K, W>,
      joiner: (left: NonNullable<V>, right: NonNullable<W> | null) => R,
      options: JoinOptions,
    ): JoinedStream<K, V, W, R>;
    /**
     * As `leftJoin`; a right record without a partner is joined with null too, once time has passed its own by `before` and
     * `grace`.
     * @example
     * orders.outerJoin("matched", payments, (order, payment) => ({ order, payment }), {
     *   before: minutes(0), after: minutes(5), grace: minutes(1),
     * });
     */
    outerJoin<W, R>(
      name: string,
      other: Stream<K, W>,
      joiner: (left: NonNullable<V> | null, right: NonNullable<W> | null) => R,
      options: JoinOptions,
    ): JoinedStream<K, V, W, R>;
  }
}

const SPANS = ["before", "after", "grace"] as const;
type SpanName = (typeof SPANS)[number];

const msOf = (options: Partial<JoinOptions> | undefined, span: SpanName): number =>
  // Types are stripped at run time: what is left out must still be a clear problem.
  (options?.[span]?.ms as number | undefined) ?? Number.NaN;

const isSpan = (ms: number): boolean => Number.isSafeInteger(ms) && ms >= 0;

const facts: OperatorFacts = {
  work: joiningStreams,
  changes: true,
  multiplies: true,
  folds: true,
  usesTime: true,
  closes: true,
  ownKeys: true,
  divides: true,
  problems(node: PlanNode) {
    const { joiner, ...spans } = node.operation as StreamJoin;
    const missing = SPANS.filter((span) => !isSpan(spans[`${span}Ms`]));
    const needs = missing.map((span) => `it needs ${span}, a whole number of ms: minutes(5)`);
    if (typeof joiner !== "function") needs.push("it needs a joiner: (left, right) => result");
    return [
      ...needs.map((detail) => problem("MILL_BUILD_OPTION", node, detail)),
      ...boundProblems(node, (node.operation as StreamJoin).bound, recordRules),
    ];
  },
  windows(operation) {
    const { beforeMs, afterMs, graceMs } = operation as StreamJoin;
    return { form: `${String(beforeMs)} ms before, ${String(afterMs)} ms after`, graceMs };
  },
  details(operation) {
    const { beforeMs, afterMs, graceMs, bound } = operation as StreamJoin;
    return {
      ...shownBound(bound, recordRules.option),
      before: `${String(beforeMs)} ms before`,
      after: `${String(afterMs)} ms after`,
      grace: `${String(graceMs)} ms grace`,
    };
  },
};

const ofResults: OperatorFacts = { work: passing, named: "topic" };
const ofLate: OperatorFacts = { ...ofResults, ends: true };

/** How far the watermark behind a join stays behind the one in front of it: unmatched records come with their own times. */
function delayOf({ kind, beforeMs, afterMs, graceMs }: StreamJoin): number {
  if (kind === "join") return 0;
  // mistake: delay of a join forgotten
  // mistake: larger side forgotten
  return graceMs + (kind === "left-join" ? afterMs : Math.max(afterMs, beforeMs));
}

/** The store that counts what is kept. */
function keptStoreOf(name: string): Pick<StreamJoin, "stores"> & { readonly keptStore: string } {
  const keptStore = `${name}-kept`;
  const wrongValue: WrongValue = (_key, stored) => wrongKept(stored);
  const rules = { dueOfUndated: () => null, wrongValue };
  return { keptStore, stores: [storeOf(keptStore, { kind: "tagged-json" }, rules)] };
}

type JoinMethod = (
  this: StreamNode<unknown, unknown>,
  name: string,
  other: unknown,
  joiner: StreamJoin["joiner"],
  options?: Partial<JoinOptions>,
) => unknown;

const joining = (method: string, kind: StreamJoin["kind"]): JoinMethod =>
  function add(name, other, joiner, options) {
    const [beforeMs, afterMs, graceMs] = SPANS.map((span) => msOf(options, span)) as [
      number,
      number,
      number,
    ];
    const isStream = other instanceof StreamNode && other.graph === this.graph;
    if (!isStream) this.graph.refuse(method, "a stream of this pipeline", other);
    const value = {
      kind: "join-buffer",
      sides: [],
      widthMs: widthOf({ beforeMs, afterMs }),
    } as const;
    const store = storeOf(name, value, { dueOfUndated: () => null, reader: readingBuffers });
    const limit = recordBoundOf(options ?? {});
    const operation: StreamJoin = {
      ...{ kind, store, joiner, beforeMs, afterMs, graceMs },
      ...(limit.bound === undefined ? {} : { ...limit, ...keptStoreOf(name) }),
    };
    const delayMs = delayOf(operation);
    const reachMs = Math.max(beforeMs, afterMs);
    // Which record finds its key full depends on the order in which they come.
    const comesOut = limit.bound === undefined ? {} : ({ comesOut: "in-order" } as const);
    const own: OperatorFacts = { ...facts, reachMs, ...comesOut };
    const node = this.next(name, operation, own, isStream ? other : this);
    const arm = (what: string, of: OperatorFacts): StreamPlace<unknown, unknown> =>
      node.next(`${name}.${what}`, { kind: "arm" }, of);
    // Late records go on at once: time behind them is not held back.
    const results = arm("results", { ...ofResults, delayMs: isSpan(delayMs) ? delayMs : 0 });
    const late = { lateLeft: arm("late-left", ofLate), lateRight: arm("late-right", ofLate) };
    return Object.assign(results, late);
  };

export const join: JoinMethod = joining("join", "join");
export const leftJoin: JoinMethod = joining("leftJoin", "left-join");
export const outerJoin: JoinMethod = joining("outerJoin", "outer-join");
