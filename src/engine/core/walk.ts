// The walk over a graph: of nodes, topics or files.
import type { PlanNode } from "./plan.ts";

/** Everything that is reached by `next`, step by step; `start` itself only where a way leads back to it. */
export function reachedFrom<T>(start: T, next: (at: T) => Iterable<T>): Set<T> {
  const found = new Set<T>();
  const open = [start];
  for (let at = open.pop(); at !== undefined; at = open.pop())
    for (const other of next(at))
      if (!found.has(other)) {
        found.add(other);
        open.push(other);
      }
  return found;
}

/** The nodes that feed one directly. */
export const feedersOf =
  (nodes: readonly PlanNode[]) =>
  ({ inputs }: PlanNode): PlanNode[] =>
    nodes.filter(({ id }) => inputs.includes(id));
