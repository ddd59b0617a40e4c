// distinct: the first record of each kind among those of one key.
import type { OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { Decimal } from "../../../core/decimal.ts";
import type { Duration } from "../../../core/span.ts";
import type { DueOfUndated, WrongValue } from "../../../core/state.ts";
import { keepingDistinct, type Distinct } from "../../../transform/keyed/distinct.ts";
import { problem } from "../../nodes/problem.ts";
import type { Method, StreamNode } from "../../nodes/stream-node.ts";
import { inOrder } from "../order/order.ts";
import type { Orderable } from "../../windows.ts";
import { storeOf } from "../../store.ts";

/** A value by which records can be compared. */
export type KeyPart = string | number | bigint | boolean | Decimal | null;

export interface DistinctOptions<V> extends Orderable {
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

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /**
     * The first record of each `by` among those of one key; it is remembered for the span, in stream time. A repeat is dropped;
     * `onRepeat` distinguishes one that says something else than the first from one that says the same.
     * @example
     * stream.distinct("exact-repeats", { by: (o) => [o.orderId, o.updatedAt], within: days(7) });
     * stream.distinct("once", { by: (p) => p.id, within: days(7), onRepeat: { conflict: "dead-letter" } });
     */
    distinct(name: string, options: DistinctOptions<V>): Stream<K, V>;
  }
}

const facts: OperatorFacts = {
  work: keepingDistinct,
  ownKeys: true,
  usesTime: true,
  comesOut: "in-order",
  /** Types are stripped at run time, and a word that nobody knows would let every conflict pass. */
  problems(node: PlanNode) {
    const conflict: unknown = (node.operation as Distinct).onRepeat?.conflict ?? "log";
    if (conflict === "dead-letter" || conflict === "log") return [];
    return [problem("MILL_BUILD_OPTION", node, 'expected conflict: "dead-letter" or "log"')];
  },
};

export const distinct: Method = function distinct(
  this: StreamNode<unknown, unknown>,
  name: string,
  { by, within, onRepeat = "drop", order }: DistinctOptions<unknown>,
): StreamNode<unknown, unknown> {
  const dueOfUndated: DueOfUndated = (_key, { timestamp }) => timestamp + within.ms;
  const rules = { retention: within, dueOfUndated, wrongValue: wrongSeen };
  const store = storeOf(name, { kind: "tagged-json" }, rules);
  const also = onRepeat === "drop" ? {} : { onRepeat: { content: null, ...onRepeat } };
  const operation: Distinct = { kind: "distinct", by, store, ...also };
  const ordered = inOrder(name, operation, { ...facts, reachMs: within.ms }, order);
  return this.next(name, ordered.operation, ordered.facts);
};

/** `true`, or a hash of the content. */
const wrongSeen: WrongValue = (_key, value) =>
  value === true || (typeof value === "string" && value.length <= 100)
    ? null
    : "it is nothing that distinct remembers";
