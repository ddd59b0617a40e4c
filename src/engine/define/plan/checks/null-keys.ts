// A compacted topic refuses every record without a key. If a stream may have such records and no step between could
// leave them out, the build fails. If a step could, a record that still comes through is a dead letter.
import type { MillraceError } from "../../../core/errors.ts";
import { outputOf, type PlanNode } from "../../../core/plan.ts";
import { isCompacted } from "../../../core/topic-config.ts";
import { problem } from "../../nodes/problem.ts";
import { feedersOf, reachedFrom } from "../../../core/walk.ts";

export function nullKeys(nodes: readonly PlanNode[]): MillraceError[] {
  return nodes.flatMap((node) => {
    const topic = outputOf(node);
    if (topic === null || !isCompacted(topic.config)) return [];
    const source = nullableSource(node, nodes);
    if (source === undefined) return [];
    const detail = `${topic.name} is compacted, and records of ${source} may have no key, which such a topic refuses. Leave them out: .filter("has-key", (_, record) => record.key !== null), or let the source's key be no nullable one`;
    return [problem("MILL_BUILD_KEY_NULL", node, detail)];
  });
}

function nullableSource(node: PlanNode, nodes: readonly PlanNode[]): string | undefined {
  const feeders = feedersOf(nodes);
  const above = reachedFrom(node, (at) => (at === node || at.facts.keepsAll ? feeders(at) : []));
  const isNullable = ({ facts, operation: { topic } }: PlanNode): boolean =>
    facts.reads === true && topic?.key.kind === "nullable";
  return [...above].find(isNullable)?.name;
}
