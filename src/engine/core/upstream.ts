// The sources and operators above each node of a part, and what lies between.
import { queuesKeys, storesOf, type Part, type PlanNode } from "./plan.ts";
import type { TopicName } from "./record.ts";

export type SourceDelays = ReadonlyMap<TopicName, number>;

/** By place: the sources that it hangs behind, each with the delay of its watermark on the way. */
export const sourcesOf = (nodes: readonly PlanNode[]): SourceDelays[] =>
  delaysBehind(nodes, ({ facts, operation: { topic } }) =>
    facts.reads === true && topic !== undefined ? topic.name : null,
  );

/** By place: the operators with state above it, by their own places, each with the delay on the way from its front. */
export const operatorsAbove = (nodes: readonly PlanNode[]): ReadonlyMap<number, number>[] =>
  delaysBehind(nodes, (node) =>
    storesOf(node.operation).length === 0 ? null : nodes.indexOf(node),
  );

/**
 * By place: how far the watermark in front of it stays behind that in front of each beginning above it: the sum of the
 * delays of the operators from there on, of several ways the greatest. Inputs come before what they feed.
 */
function delaysBehind<T>(
  nodes: readonly PlanNode[],
  beginning: (node: PlanNode) => T | null,
): ReadonlyMap<T, number>[] {
  const behind = new Map<number, ReadonlyMap<T, number>>();
  return nodes.map((node) => {
    const delays = new Map<T, number>();
    const own = beginning(node);
    if (own !== null) delays.set(own, 0);
    for (const input of node.inputs)
      for (const [from, delay] of behind.get(input) ?? [])
        // mistake: shorter way counts
        delays.set(from, Math.max(delays.get(from) ?? 0, delay));
    // mistake: delay of a window forgotten
    const delayMs = node.facts.delayMs ?? 0;
    behind.set(node.id, new Map([...delays].map(([from, delay]) => [from, delay + delayMs])));
    return delays;
  });
}

/** How far the time behind the operator stays behind the one in front of it, at most (D). */
export const delayBehind = ({ nodes }: Part, { id, facts }: PlanNode): number =>
  Math.max(
    facts.delayMs ?? 0,
    ...nodes.flatMap((node) => (node.inputs.includes(id) ? [node.facts.delayMs ?? 0] : [])),
  );

/** By place. */
export function behindQueues(nodes: readonly PlanNode[]): boolean[] {
  const queued = new Set<number>();
  return nodes.map((node) => {
    const isBehind = node.inputs.some((input) => queued.has(input));
    if (isBehind || queuesKeys(node)) queued.add(node.id);
    return isBehind;
  });
}
