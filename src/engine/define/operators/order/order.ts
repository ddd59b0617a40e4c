// order: an option of operators whose results depend on the order of their records.
import type { MillraceError } from "../../../core/errors.ts";
import type { Operation, OperatorFacts, PlanNode } from "../../../core/plan.ts";
import type { Duration } from "../../../core/span.ts";
import type { MakeOperator } from "../../../transform/operator.ts";
import {
  ordering,
  wrongOrdered,
  type OrderedOperation,
} from "../../../transform/process/ordered.ts";
import { readingOrder } from "../../../transform/shown/waiting.ts";
import { problem } from "../../nodes/problem.ts";
import { boundProblems, recordBoundOf, recordRules, shownBound } from "../bounds/bounds.ts";
import { storeOf } from "../../store.ts";
import type { OrderOptions } from "../../windows.ts";

/** An operator with the facts of its order. */
export interface Ordered {
  readonly operation: Operation;
  readonly facts: OperatorFacts;
}

const rules = {
  ...{ dueOfUndated: () => null, wrongValue: wrongOrdered, reader: readingOrder },
  keepsRecords: true,
} as const;

/** The operator behind its order; as it is where none is asked for. */
export function inOrder(
  name: string,
  operation: Operation,
  facts: OperatorFacts,
  order: OrderOptions | undefined,
): Ordered {
  if (order === undefined) return { operation, facts };
  // Types are stripped at run time: what is missing is a problem of the node.
  const { ms: graceMs } = { ms: NaN, ...(order.grace as Duration | undefined) };
  const store = storeOf(`${name}-order`, { kind: "tagged-json" }, rules);
  const isWhole = Number.isSafeInteger(graceMs) && graceMs >= 0;
  const own = isWhole ? graceMs : 0;
  const limit = recordBoundOf(order);
  const ordered: OrderedOperation = {
    ...operation,
    stores: [...(operation.stores ?? []), { ...store, changelog: { ...store.changelog } }],
    order: { graceMs: own, store, ...limit },
  };
  return {
    operation: ordered,
    facts: {
      ...facts,
      work: ordering(facts.work as MakeOperator),
      // mistake: delay of an order forgotten
      ...{ usesTime: true, closes: true, orders: true, delayMs: own },
      // Which record finds its key full depends on the order in which they come.
      anyOrder: limit.bound === undefined,
      problems: (node, nodes) => [
        ...(facts.problems?.(node, nodes) ?? []),
        ...(isWhole ? [] : [needsGrace(node)]),
        ...boundProblems(node, limit.bound, recordRules),
        ...taken(node, store.name, nodes),
      ],
      details: (of) => ({
        ...facts.details?.(of),
        order: `grace ${String(own)} ms`,
        ...shownBound(limit.bound, recordRules.option),
      }),
    },
  };
}

const needsGrace = (node: PlanNode): MillraceError =>
  problem("MILL_BUILD_OPTION", node, "order needs grace, a whole number of ms: minutes(5)");

function taken(node: PlanNode, store: string, nodes: readonly PlanNode[]): MillraceError[] {
  const other = nodes.find(({ name }) => name === store);
  if (other === undefined) return [];
  const detail = `its store would be called as the operator at ${other.site}`;
  return [problem("MILL_BUILD_NAME_TAKEN", node, detail)];
}
