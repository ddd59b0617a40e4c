// Sources that may be quiet: those behind which something closes. A topic that the pipeline itself writes is waited for,
// since an outage of its writer would else be taken for quiet. Pure.
import { outputOf, type Part, type PlanTopic } from "../../../core/plan.ts";
import { topicsBehind } from "./channels.ts";

/** The parts with `idleAfterMs` only where it says something. */
export function withIdleness(parts: readonly Part[]): Part[] {
  const closing = topicsBehind(parts, ({ facts }) => facts.closes === true);
  const written = new Set(parts.flatMap(({ nodes }) => nodes.map((node) => outputOf(node)?.name)));
  const known = (topic: PlanTopic): PlanTopic => {
    const { idleAfterMs, ...rest } = topic;
    const isKept = closing.has(topic.name) && !written.has(topic.name);
    return idleAfterMs === undefined || isKept ? topic : rest;
  };
  return parts.map((part) => ({
    ...part,
    sources: part.sources.map(known),
    nodes: part.nodes.map((node) => {
      const { operation } = node;
      if (operation.topic === undefined) return node;
      return { ...node, operation: { ...operation, topic: known(operation.topic) } };
    }),
  }));
}
