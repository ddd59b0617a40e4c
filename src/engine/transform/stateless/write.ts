// Operators that write: to topics, also those between parts, and to tables.
import type { Callback, Operation, PlanTopic } from "../../core/plan.ts";
import { drop, type MakeOperator } from "../operator.ts";

export interface Repartition extends Operation {
  readonly kind: "repartition";
  /** Null drops the record. */
  readonly key: Callback<unknown>;
  readonly topic: PlanTopic;
}

export const writing: MakeOperator = (node, wiring) => {
  const { at, cursor, count, options } = wiring;
  const emit = options.emitterOf(node);
  return function write(value) {
    cursor.step = at;
    if (!emit(value, cursor)) return drop(wiring);
    cursor.trail.emitted++;
    count.passed++;
  };
};
