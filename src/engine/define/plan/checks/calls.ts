// Queued keys: a key is queued only where its record has left no trace before: given up, it must be as if it had never
// been read.
import type { MillraceError } from "../../../core/errors.ts";
import { queuesKeys, storesOf, type Part, type PlanNode } from "../../../core/plan.ts";
import { problem } from "../../nodes/problem.ts";
import { feedersOf, reachedFrom } from "../../../core/walk.ts";

const BEFORE =
  "so a record that is given up would leave a trace. Put a rekey or a topic between them, or retry with block";

/** The effects that a record may have in a part before it is queued. */
export function traces({ nodes }: Part): MillraceError[] {
  return nodes
    .filter(queuesKeys)
    .flatMap((node) =>
      [...reachedFrom(node, feedersOf(nodes))]
        .flatMap((one) => traceOf(one, nodes))
        .map((detail) => problem("MILL_BUILD_OPTION", node, `${detail}, ${BEFORE}`)),
    );
}

function traceOf(above: PlanNode, nodes: readonly PlanNode[]): string[] {
  const { facts, operation } = above;
  const { kind } = operation;
  if (facts.multiplies) return [`${kind} "${above.name}" makes several of one record`];
  if (storesOf(operation).length > 0 && !facts.calls)
    return [`${kind} "${above.name}" has changed state by then`];
  const ways = nodes.filter((next) => comesFrom(above, next)).length;
  // A record takes only one arm of a branch.
  return facts.divides || ways < 2 ? [] : [`"${above.name}" leads elsewhere too`];
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
