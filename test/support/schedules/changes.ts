// What a case has beside its graph and its schedule, drawn apart, so that the cases of a seed stay what they are: steps that take
// records in the order of a source, a bounded run in the place of live, or a source that gets one more partition.
import type { Draw } from "../simulation/case.ts";
import type { Contents } from "./contents.ts";
import { flowOf } from "./flow.ts";
import type { Graph, GraphNode } from "./graph.ts";

/**
 * bounded: everything is there before the workers come, and time ends with it · grown: the last partition of a source comes
 * when the others are half read.
 */
export type Change =
  | { readonly kind: "bounded" }
  | { readonly kind: "grown"; readonly topic: number; readonly at: number };

const DIRECT_SHARE = 0.2;

/** The graph, perhaps with steps directly behind a source. */
export function withDirect(draw: Draw, graph: Graph): Graph {
  if (!draw.chance(DIRECT_SHARE)) return graph;
  const { nodes, partitions, outputs, times } = graph;
  const sources = nodes.flatMap(({ kind }, i) => (kind === "source" ? [i] : []));
  const of = draw.pick(sources);
  const at = nodes.length;
  const first: GraphNode = { kind: "first", of, kinds: draw.between(2, 4) };
  const counted: GraphNode = { kind: "counted", of: draw.pick([of, at]), size: draw.between(1, 3) };
  const size = 10 * times.unitMs;
  const window = { kind: "hopping", size, advance: size } as const;
  const behind: GraphNode = { kind: "window", of: at + 1, window, grace: 0, isOrdered: false };
  const width = partitions[of] ?? 1;
  return {
    ...graph,
    nodes: [...nodes, first, counted, behind],
    partitions: [...partitions, width, width, width],
    outputs: [...outputs, at, at + 1, at + 2],
  };
}

const BOUNDED_SHARE = 0.12;
const GROWN_SHARE = 0.3;

export function drawChange(draw: Draw, graph: Graph, contents: Contents): Change | null {
  if (draw.chance(BOUNDED_SHARE)) return { kind: "bounded" };
  if (!draw.chance(GROWN_SHARE)) return null;
  const growing = growingOf(graph, contents);
  return growing.length === 0 ? null : draw.pick(growing);
}

/** Sources that no part with a store reads: keys lie elsewhere in a topic with more partitions. */
function growingOf(graph: Graph, contents: Contents): Change[] {
  const { parts } = flowOf(graph).pipeline.plan();
  return graph.nodes.flatMap((node, at): Change[] => {
    if (node.kind !== "source" || (contents[node.topic]?.at(-1) ?? []).length === 0) return [];
    const name = `in-${String(node.topic)}`;
    const readers = parts.filter(({ sources }) => sources.some((one) => one.name === name));
    // Streams that meet have equal counts.
    const isFree = readers.every(({ stores, sources }) => stores.length + sources.length === 1);
    return isFree && (graph.partitions[at] ?? 1) > 1
      ? [{ kind: "grown", topic: node.topic, at }]
      : [];
  });
}

/** The graph before. */
export const narrowed = (graph: Graph, { at }: Extract<Change, { kind: "grown" }>): Graph => ({
  ...graph,
  partitions: graph.partitions.map((count, i) => (i === at ? count - 1 : count)),
});

/** So many records of a partition are read before the new one comes. */
export const readBefore = (records: readonly unknown[]): number => Math.floor(records.length / 2);

/** What is in the new partition is never older than what was read before it came: so it is behind nothing. */
export function shifted(
  contents: Contents,
  { topic }: Extract<Change, { kind: "grown" }>,
): Contents {
  const own = contents[topic] as Contents[number];
  const added = own.at(-1) ?? [];
  const others = contents.flatMap((partitions, i) => (i === topic ? own.slice(0, -1) : partitions));
  const before = others.flatMap((records) => records.slice(0, readBefore(records)));
  const reached = Math.max(0, ...before.map(({ t }) => t));
  const byMs = Math.max(0, reached - Math.min(...added.map(({ t }) => t)));
  const moved = added.map((one) => ({ ...one, t: one.t + byMs }));
  return contents.map((partitions, i) => (i === topic ? [...own.slice(0, -1), moved] : partitions));
}
