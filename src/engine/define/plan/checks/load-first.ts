// Reference topics: one is read first only where its part reads something else, which can wait for it.
import type { MillraceError } from "../../../core/errors.ts";
import { outputOf, type Part, type PlanNode } from "../../../core/plan.ts";
import type { TopicName } from "../../../core/record.ts";
import { problem } from "../../nodes/problem.ts";

const ALONE =
  "loadFirst: no part reads it beside a topic that could wait for it; a part ends at a rekey and at a table. Merge it with the other stream before that, or leave loadFirst out";
const OWN =
  "loadFirst: the pipeline writes this topic itself, so there is nothing to load at a first start. Leave loadFirst out";

/** Each topic is reported once. */
export function loadFirst(parts: readonly Part[]): MillraceError[] {
  const nodes = parts.flatMap((part) => part.nodes);
  const written = new Set(nodes.map((node) => outputOf(node)?.name));
  const waitedFor = new Set(parts.flatMap(awaitedIn));
  const reads = nodes.filter(({ operation: { topic } }) => topic?.loadFirst === true);
  const topics = new Map<TopicName, PlanNode>(reads.map((node) => [node.name, node]));
  return [...topics].flatMap(([name, node]) => {
    if (written.has(name)) return [problem("MILL_BUILD_OPTION", node, OWN)];
    return waitedFor.has(name) ? [] : [problem("MILL_BUILD_OPTION", node, ALONE)];
  });
}

const awaitedIn = ({ sources }: Part): TopicName[] => {
  const references = sources.filter((topic) => topic.loadFirst === true);
  return references.length === sources.length ? [] : references.map(({ name }) => name);
};
