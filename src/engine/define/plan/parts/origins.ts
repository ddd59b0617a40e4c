// Topics between parts whose records carry where they come from: those behind which a step takes records in order (O3). Pure.
import type { Part, PlanNode, PlanTopic } from "../../../core/plan.ts";
import { topicsBehind } from "./channels.ts";

/** The parts with `carriesOrigin` where it is asked for. */
export function withOrigins(parts: readonly Part[]): Part[] {
  const behind = topicsBehind(parts, ({ facts }) => facts.orders === true);
  const known = (topic: PlanTopic): PlanTopic =>
    topic.internal === "repartition" && behind.has(topic.name)
      ? { ...topic, carriesOrigin: true }
      : topic;
  const nodeOf = (node: PlanNode): PlanNode => {
    const { topic } = node.operation;
    if (topic === undefined) return node;
    return { ...node, operation: { ...node.operation, topic: known(topic) } };
  };
  return parts.map((part) => ({
    ...part,
    sources: part.sources.map(known),
    nodes: part.nodes.map(nodeOf),
  }));
}
