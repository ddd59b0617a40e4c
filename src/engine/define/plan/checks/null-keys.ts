// A compacted topic refuses every record without a key. Where a stream may have such records and no step between could
// leave them out, building says so; where one could, a record that comes through all the same is a dead letter.
import type { MillraceError } from "../../../core/errors.ts";
import { outputOf, type PlanNode } from "../../../core/plan.ts";
import { isCompacted } from "../../../core/topic-config.ts";
import { problem } from "../../nodes/problem.ts";

export function nullKeys(nodes: readonly PlanNode[]): MillraceError[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return nodes.flatMap((node) => {
    const topic = outputOf(node);
    if (topic === null || !isCompacted(topic.config)) return [];
    const source = nullableSource(node, byId);
    if (source === null) return [];
    const detail = `${topic.name} is compacted, and records of ${source} may have no key, which such a topic refuses. Leave them out: .filter("has-key", (_, record) => record.key !== null), or let the source's key be no nullable one`;
    return [problem("MILL_BUILD_KEY_NULL", node, detail)];
  });
}

function nullableSource({ inputs }: PlanNode, byId: ReadonlyMap<number, PlanNode>): string | null {
  for (const id of inputs) {
    const above = byId.get(id);
    if (above === undefined) continue;
    const { operation, facts, name } = above;
    if (facts.reads && operation.topic?.key.kind === "nullable") return name;
    const found = facts.keepsAll ? nullableSource(above, byId) : null;
    if (found !== null) return found;
  }
  return null;
}
