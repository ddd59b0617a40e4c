// Groups of a part: nodes in front of which records queue. Nodes that share a store are one group, whose queue is
// worked in the order of the records, so that each node sees the changes that others made for earlier records.
import { assert } from "../../core/errors.ts";
import { needsBatch, type PlanNode } from "../../core/plan.ts";

/** Ids by group; each group comes after every group that feeds it. Needs nodes in the order of the part. */
export function groupsOf(nodes: readonly PlanNode[]): number[][] {
  const queueing = nodes.filter(needsBatch);
  const groups = Map.groupBy(queueing, ({ id, operation }) => operation.store?.name ?? id);
  const left = new Set([...groups.values()].map((group) => group.map(({ id }) => id)));
  const ordered: number[][] = [];
  while (left.size > 0) {
    const others = (group: number[]): Set<number> =>
      new Set([...left].filter((one) => one !== group).flat());
    const next = [...left].find((group) => !group.some((id) => isFedBy(others(group), id, nodes)));
    assert(next !== undefined, "operators that share a store feed each other");
    left.delete(next);
    ordered.push(next);
  }
  return ordered;
}

function isFedBy(others: ReadonlySet<number>, id: number, nodes: readonly PlanNode[]): boolean {
  const { inputs } = nodes.find((node) => node.id === id) as PlanNode;
  return inputs.some((above) => others.has(above) || isFedBy(others, above, nodes));
}
