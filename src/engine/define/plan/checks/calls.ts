// Queued keys: a key is queued only where its record has left no trace before: given up, it must be as if it had never
// been read.
import type { MillraceError } from "../../../core/errors.ts";
import { queuesKeys, type Part, type PlanNode } from "../../../core/plan.ts";
import { problem } from "../../nodes/problem.ts";

const BEFORE =
  "so a record that is given up would leave a trace. Put a rekey or a topic between them, or retry with block";

/** What a record does in a part before it is queued, beside coming there. */
export function traces({ nodes }: Part): MillraceError[] {
  return nodes.filter(queuesKeys).flatMap((node) =>
    wayTo(node, nodes)
      .flatMap((above) => traceOf(above, nodes))
      .map((detail) => problem("MILL_BUILD_OPTION", node, `${detail}, ${BEFORE}`)),
  );
}

function traceOf(above: PlanNode, nodes: readonly PlanNode[]): string[] {
  const { facts, operation } = above;
  const { kind, store } = operation;
  if (facts.multiplies) return [`${kind} "${above.name}" makes several of one record`];
  if (store !== undefined && !facts.calls)
    return [`${kind} "${above.name}" has changed state by then`];
  const ways = nodes.filter((next) => comesFrom(above, next)).length;
  // Of the arms of a branch a record takes one.
  return facts.divides || ways < 2 ? [] : [`"${above.name}" leads elsewhere too`];
}

function wayTo(node: PlanNode, nodes: readonly PlanNode[]): PlanNode[] {
  const byId = new Map(nodes.map((one) => [one.id, one]));
  const way = new Map<number, PlanNode>();
  const open = [...node.inputs];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const above = byId.get(id) as PlanNode;
    way.set(id, above);
    open.push(...above.inputs.filter((input) => !way.has(input)));
  }
  return [...way.values()];
}

/** Another source of the same topic is another way of the same record. */
function comesFrom(
  { id, facts: a, operation: { topic } }: PlanNode,
  { inputs, id: own, facts: b, operation }: PlanNode,
): boolean {
  if (inputs.includes(id)) return true;
  return (
    own !== id && a.reads === true && b.reads === true && topic?.name === operation.topic?.name
  );
}
