// What must come out: computed from the contents of the source partitions as sets, without any order or time of arrival.
import { partitionOf } from "../../../src/engine/core/record.ts";
import type { Contents, Graph, GraphNode, WindowSpec } from "./graph.ts";
import { copiesOf, keyFor } from "./values.ts";

/** A record on an edge: its time, its origin time, and the partition of its task. */
export interface Row {
  readonly key: string;
  readonly t: number;
  readonly o: number;
  readonly n: number;
  readonly p: number;
}

interface Edge {
  readonly rows: readonly Row[];
  /** The last watermark of each partition. */
  readonly watermarks: readonly number[];
}

type WindowNode = Extract<GraphNode, { kind: "window" }>;

export const textOf = ({ key, t, n }: Pick<Row, "key" | "t" | "n">): string =>
  `${key} ${String(t)} ${String(n)}`;

/** The rows of each output, sorted, as texts. */
export function expectedOf(graph: Graph, contents: Contents): ReadonlyMap<number, string[]> {
  const edges: Edge[] = [];
  for (const [i, node] of graph.nodes.entries())
    edges.push(edgeOf(node, { edges, contents, graph, at: i }));
  return new Map(graph.outputs.map((i) => [i, (edges[i]?.rows ?? []).map(textOf).sort()] as const));
}

interface Known {
  readonly edges: readonly Edge[];
  readonly contents: Contents;
  readonly graph: Graph;
  readonly at: number;
}

function edgeOf(node: GraphNode, { edges, contents, graph, at }: Known): Edge {
  const partitions = graph.partitions[at] ?? 1;
  if (node.kind === "source") return sourceEdge(contents[node.topic] ?? []);
  const above = edges[node.of] as Edge;
  if (node.kind === "key") {
    const rows = above.rows.map((row) => {
      const key = keyFor(row.n, node);
      return { ...row, key, p: partitionOf(Buffer.from(key), partitions, 0) };
    });
    const slowest = Math.min(...above.watermarks);
    return { rows, watermarks: Array.from({ length: partitions }, () => slowest) };
  }
  if (node.kind === "flat") {
    const rows = above.rows.flatMap((row) => copiesOf(row, node.salt));
    return { rows, watermarks: above.watermarks };
  }
  if (node.kind === "merge") {
    const other = edges[node.with] as Edge;
    const watermarks = above.watermarks.map((w, p) => Math.min(w, other.watermarks[p] ?? w));
    return { rows: [...above.rows, ...other.rows], watermarks };
  }
  if (node.kind === "window") return windowEdge(node, above);
  const window = graph.nodes[node.of] as WindowNode;
  const before = edges[window.of] as Edge;
  const rows = before.rows.filter((row) => isLate(window, row));
  return { rows, watermarks: before.watermarks };
}

function sourceEdge(partitions: Contents[number]): Edge {
  const rows = partitions.flatMap((contents, p) => {
    let o = -Infinity;
    return contents.map(({ key, t, n }): Row => ({ key, t, n, p, o: (o = Math.max(o, t)) }));
  });
  const watermarks = partitions.map((contents) => Math.max(-Infinity, ...contents.map((c) => c.t)));
  return { rows, watermarks };
}

/** Whether the record goes to the late ones; other windows may still take it. */
function isLate({ window, grace }: WindowNode, { t, o }: Row): boolean {
  if (window.kind === "session") return t < o - grace;
  if (window.kind === "sliding") return o > t + grace;
  return startsOf(window, t).some((start) => o >= start + window.size + grace);
}

function startsOf({ size, advance }: Extract<WindowSpec, { kind: "hopping" }>, t: number) {
  const starts: number[] = [];
  for (let start = Math.floor(t / advance) * advance; start > t - size; start -= advance)
    starts.push(start);
  return starts;
}

/** A window that was closed: its records, and its last ms. */
interface Closed {
  readonly rows: readonly Row[];
  readonly last: number;
}

function windowEdge({ window, grace }: WindowNode, above: Edge): Edge {
  const rows: Row[] = [];
  for (const own of groupsOf(above.rows)) {
    const [{ key, p }] = own as [Row];
    const reached = above.watermarks[p] ?? -Infinity;
    for (const { rows: taken, last } of closedOf(window, own, { grace, reached }))
      rows.push({ key, p, t: last, o: last, n: taken.reduce((sum, { n }) => sum + n, 0) });
  }
  const delay = window.kind === "session" ? window.gap + grace : grace;
  return { rows, watermarks: above.watermarks.map((w) => w - delay) };
}

/** Of each task by key. */
const groupsOf = (rows: readonly Row[]): Iterable<readonly Row[]> =>
  Map.groupBy(rows, ({ p, key }) => `${String(p)} ${key}`).values();

interface Reach {
  readonly grace: number;
  readonly reached: number;
}

function closedOf(window: WindowSpec, rows: readonly Row[], reach: Reach): readonly Closed[] {
  if (window.kind === "session") return sessions(window.gap, rows, reach);
  if (window.kind === "sliding") return slides(window.difference, rows, reach);
  const { size } = window;
  const taken = new Map<number, Row[]>();
  for (const row of rows)
    for (const start of startsOf(window, row.t))
      if (row.o < start + size + reach.grace) taken.set(start, [...(taken.get(start) ?? []), row]);
  return [...taken]
    .filter(([start]) => reach.reached >= start + size + reach.grace)
    .map(([start, own]) => ({ rows: own, last: start + size - 1 }));
}

/** Records that hang together by their gaps, whenever they came. */
function sessions(gap: number, all: readonly Row[], { grace, reached }: Reach): Closed[] {
  const found: Row[][] = [];
  const onTime = all.filter(({ t, o }) => t >= o - grace);
  for (const row of onTime.toSorted((a, b) => a.t - b.t)) {
    const last = found.at(-1);
    if (last !== undefined && row.t - (last.at(-1)?.t ?? 0) <= gap) last.push(row);
    else found.push([row]);
  }
  return found
    .map((rows) => ({ rows, last: rows.at(-1)?.t ?? 0 }))
    .filter(({ last }) => reached > last + gap + grace);
}

/** One that ends with each record, and one that begins behind it where records follow. */
function slides(difference: number, rows: readonly Row[], { grace, reached }: Reach): Closed[] {
  const within = (start: number): Row[] => {
    const end = start + difference;
    return rows.filter(({ t, o }) => t >= start && t <= end && o <= end + grace);
  };
  const starts = new Set<number>();
  for (const { t, o } of rows) {
    if (o <= t + grace) starts.add(t - difference);
    if (o <= t + difference + grace && within(t + 1).length > 0) starts.add(t + 1);
  }
  return [...starts]
    .map((start) => ({ rows: within(start), last: start + difference }))
    .filter(({ last }) => reached > last + grace);
}
