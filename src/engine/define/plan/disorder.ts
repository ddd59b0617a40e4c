// Operators whose records come in no order: behind a topic between parts, which several tasks write, or behind several sources.
// Some work in another way there (O3).
import type { PlanNode } from "../../core/plan.ts";

const BETWEEN = Symbol("a topic between parts");

/** The nodes as they work in their places. */
export const placed = (nodes: readonly PlanNode[]): PlanNode[] =>
  nodes.map((node) => {
    const { unordered } = node.facts;
    if (unordered === undefined || isDirect(node, nodes)) return node;
    return { ...node, ...unordered };
  });

/** Whether records come from one source, whose partition gives their order. */
function isDirect(node: PlanNode, nodes: readonly PlanNode[]): boolean {
  const origins = new Set<string | typeof BETWEEN>();
  const above = new Set(node.inputs);
  for (const id of above) {
    const { facts, operation, inputs } = nodes.find((one) => one.id === id) as PlanNode;
    if (facts.writes === "repartition") origins.add(BETWEEN);
    else if (facts.reads === true) origins.add(operation.topic?.name ?? "");
    else for (const input of inputs) above.add(input);
  }
  return origins.size === 1 && !origins.has(BETWEEN);
}
