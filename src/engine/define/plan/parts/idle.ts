// Sources that may be quiet: those behind which something closes. A topic that the pipeline itself writes is one only once the
// pipeline has worked all that it comes from, since an outage of its writer would else be taken for quietness. Pure.
import type { MillraceError } from "../../../core/errors.ts";
import { outputOf, type Part, type PlanNode, type PlanTopic } from "../../../core/plan.ts";
import { problem } from "../../nodes/problem.ts";
import { topicsBehind } from "./channels.ts";

/** The parts with `idleAfterMs` only where it says something, and with the writers of topics that the pipeline reads again. */
export function withIdleness(parts: readonly Part[], pipeline: string): Part[] {
  const closing = topicsBehind(parts, ({ facts }) => facts.closes === true);
  const read = new Set(parts.flatMap(({ sources }) => sources.map(({ name }) => name)));
  const written = new Set(parts.flatMap(({ nodes }) => nodes.map((node) => outputOf(node)?.name)));
  const known = (topic: PlanTopic): PlanTopic => {
    const { idleAfterMs, ...rest } = topic;
    const isAgain = written.has(topic.name) && read.has(topic.name) && closing.has(topic.name);
    const writer = isAgain ? { writtenBy: pipeline } : {};
    if (idleAfterMs === undefined || closing.has(topic.name)) return { ...topic, ...writer };
    return { ...rest, ...writer };
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

/** Topics that the pipeline writes although their declaration says another writer. */
export const otherWriters = (nodes: readonly PlanNode[], pipeline: string): MillraceError[] =>
  nodes.flatMap((node) => {
    const { writtenBy = pipeline } = outputOf(node) ?? {};
    if (writtenBy === pipeline) return [];
    const why = `writtenBy: expected "${pipeline}", which writes it here, received "${writtenBy}"`;
    return [problem("MILL_BUILD_OPTION", node, why)];
  });
