// The sources above each node of a part, and what lies between.
import { queuesKeys, type PlanNode } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";

export type SourceDelays = ReadonlyMap<TopicName, number>;

/**
 * By place: how far the watermark in front of it stays behind that of each source above it: the sum of the delays of the
 * operators between, of several ways the greatest. Inputs come before what they feed.
 */
export function sourcesOf(nodes: readonly PlanNode[]): SourceDelays[] {
  const behind = new Map<number, SourceDelays>();
  return nodes.map(({ id, facts, inputs, operation: { topic } }) => {
    const delays = new Map<TopicName, number>();
    if (facts.reads === true && topic !== undefined) delays.set(topic.name, 0);
    for (const input of inputs)
      for (const [source, delay] of behind.get(input) ?? [])
        delays.set(source, Math.max(delays.get(source) ?? 0, delay));
    // mistake: delay of a window forgotten
    const delayMs = facts.delayMs ?? 0;
    behind.set(id, new Map([...delays].map(([source, delay]) => [source, delay + delayMs])));
    return delays;
  });
}

/** By place. */
export function behindQueues(nodes: readonly PlanNode[]): boolean[] {
  const queued = new Set<number>();
  return nodes.map((node) => {
    const isBehind = node.inputs.some((input) => queued.has(input));
    if (isBehind || queuesKeys(node)) queued.add(node.id);
    return isBehind;
  });
}
