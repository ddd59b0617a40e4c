// What must come out: computed from the contents of the source partitions as sets, without any order or time of arrival.
import { partitionOf } from "../../../src/engine/core/record.ts";
import type { Contents } from "./contents.ts";
import type { Graph, GraphNode } from "./graph.ts";
import { allOf, behind, chain, copiesOf, keyFor, kindOf, pairOf } from "./values.ts";
import { closedOf, isLateForWindow, type WindowNode } from "./windows.ts";

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

type JoinNode = Extract<GraphNode, { kind: "join" }>;
type OrderNode = Extract<GraphNode, { kind: "order" }>;

export const textOf = ({ key, t, n }: Pick<Row, "key" | "t" | "n">): string =>
  `${key} ${String(t)} ${String(n)}`;

/** The rows of each output, sorted, as texts. `endsTime`: as a bounded run that closes every window. */
export function expectedOf(
  graph: Graph,
  contents: Contents,
  endsTime: boolean,
): ReadonlyMap<number, string[]> {
  const edges: Edge[] = [];
  for (const [i, node] of graph.nodes.entries())
    edges.push(edgeOf(node, { edges, contents, graph, at: i, endsTime }));
  return new Map(graph.outputs.map((i) => [i, (edges[i]?.rows ?? []).map(textOf).sort()] as const));
}

interface Known {
  readonly edges: readonly Edge[];
  readonly contents: Contents;
  readonly graph: Graph;
  readonly at: number;
  readonly endsTime: boolean;
}

function edgeOf(node: GraphNode, { edges, contents, graph, at, endsTime }: Known): Edge {
  const partitions = graph.partitions[at] ?? 1;
  if (node.kind === "source") return sourceEdge(contents[node.topic] ?? [], endsTime);
  const above = edges[node.of] as Edge;
  if (node.kind === "key") {
    const rows = above.rows.map((row) => {
      const key = keyFor(row.n, node);
      return { ...row, key, p: partitionOf(Buffer.from(key), partitions, 0) };
    });
    const slowest = Math.min(...above.watermarks);
    return { rows, watermarks: Array.from({ length: partitions }, () => slowest) };
  }
  if (node.kind === "merge") {
    const other = edges[node.with] as Edge;
    return { rows: [...above.rows, ...other.rows], watermarks: least(above, other) };
  }
  if (node.kind === "window") return windowEdge(node, above);
  if (node.kind === "join") return joinEdge(node, above, edges[node.with] as Edge);
  if (node.kind === "order") return orderEdge(node, above);
  if (node.kind !== "late") return { ...above, rows: rowsBehind(node, above.rows) };
  return lateEdge(graph.nodes[node.of] as WindowNode | JoinNode, edges, node.side);
}

/** Behind two ways: of each partition the slower one. */
const least = (a: Edge, b: Edge): number[] =>
  a.watermarks.map((w, p) => Math.min(w, b.watermarks[p] ?? w));

/** Late records go on at once. */
function lateEdge(of: WindowNode | JoinNode, edges: readonly Edge[], side: 0 | 1): Edge {
  const left = edges[of.of] as Edge;
  if (of.kind === "window")
    return { ...left, rows: left.rows.filter((row) => isLateForWindow(of, row)) };
  const right = edges[of.with] as Edge;
  const { rows } = side === 0 ? left : right;
  return { rows: rows.filter((row) => isTooOld(of, row)), watermarks: least(left, right) };
}

function sourceEdge(partitions: Contents[number], endsTime: boolean): Edge {
  const rows = partitions.flatMap((contents, p) => {
    let o = -Infinity;
    return contents.map(({ key, t, n }): Row => ({ key, t, n, p, o: (o = Math.max(o, t)) }));
  });
  const watermarks = partitions.map((contents) =>
    endsTime ? Infinity : Math.max(-Infinity, ...contents.map((c) => c.t)),
  );
  return { rows, watermarks };
}

function windowEdge({ window, grace, isOrdered }: WindowNode, above: Edge): Edge {
  const rows: Row[] = [];
  for (const own of groupsOf(above.rows)) {
    const [{ key, p }] = own as [Row];
    const reached = above.watermarks[p] ?? -Infinity;
    for (const { rows: taken, last } of closedOf(window, own, { grace, reached }))
      rows.push({ key, p, t: last, o: last, n: isOrdered ? chainOf(taken) : sumOf(taken) });
  }
  const delay = window.kind === "session" ? window.gap + grace : grace;
  return { rows, watermarks: above.watermarks.map((w) => w - delay) };
}

const sumOf = (rows: readonly Row[]): number => rows.reduce((sum, { n }) => sum + n, 0);

/** In the order of their times. */
const chainOf = (rows: readonly Row[]): number =>
  [...Map.groupBy(rows, ({ t }) => t)]
    .sort(([a], [b]) => a - b)
    .reduce((before, [, together]) => chain(before, sumOf(together)), 0);

/** Of each task by key. */
const groupsOf = (rows: readonly Row[]): Iterable<readonly Row[]> =>
  Map.groupBy(rows, ({ p, key }) => `${String(p)} ${key}`).values();

type TimelessNode = Extract<GraphNode, { kind: "flat" | "counted" | "first" }>;

/** Steps that ask for no time. Rows directly behind a source are in the order of its partitions. */
function rowsBehind(node: TimelessNode, rows: readonly Row[]): Row[] {
  if (node.kind === "flat") return rows.flatMap((row) => copiesOf(row, node.salt));
  return node.kind === "counted" ? fullWindows(node.size, rows) : firstRows(node.kinds, rows);
}

const fullWindows = (size: number, rows: readonly Row[]): Row[] =>
  [...groupsOf(rows)].flatMap((own) =>
    Array.from({ length: Math.floor(own.length / size) }, (_, i): Row => {
      const taken = own.slice(i * size, (i + 1) * size);
      const t = Math.max(...taken.map((row) => row.t));
      return { ...(taken.at(-1) as Row), t, n: taken.reduce((sum, { n }) => sum + n, 0) };
    }),
  );

const firstRows = (kinds: number, rows: readonly Row[]): Row[] =>
  [...groupsOf(rows)].flatMap((own) => {
    const seen = new Set<number>();
    return own.filter(({ n }) => seen.size < seen.add(kindOf(n, kinds)).size);
  });

/** Each record with the sum of those before it, and that of all of them a pause behind the last one, which begins anew. */
function orderEdge(node: OrderNode, above: Edge): Edge {
  const { grace, pause } = node;
  const rows: Row[] = [];
  for (const own of groupsOf(above.rows.filter((row) => !isTooOld(node, row)))) {
    const [{ key, p }] = own as [Row];
    const isReached = (t: number): boolean => (above.watermarks[p] ?? -Infinity) > t + grace;
    const times = [...Map.groupBy(own, ({ t }) => t)].sort(([a], [b]) => a - b);
    let sum = 0;
    for (const [i, [t, together]] of times.entries()) {
      if (!isReached(t)) break;
      for (const row of together) rows.push({ ...row, o: t, n: behind(sum, row.n) });
      sum += together.reduce((all, { n }) => all + n, 0);
      const due = t + pause;
      if (due > (times[i + 1]?.[0] ?? Infinity) || !isReached(due)) continue;
      rows.push({ key, p, t: due, o: due, n: allOf(sum) });
      sum = 0;
    }
  }
  return { rows, watermarks: above.watermarks.map((w) => w - grace) };
}

const isTooOld = ({ grace }: Pick<JoinNode, "grace">, { t, o }: Row): boolean => t < o - grace;

/** Every pair of records that are on time, and each record alone once no partner of it can come any more. */
function joinEdge(node: JoinNode, left: Edge, right: Edge): Edge {
  const { before, after, grace, how } = node;
  const watermarks = least(left, right);
  const [lefts, rights] = [left, right].map(({ rows }) =>
    rows.filter((row) => !isTooOld(node, row)),
  ) as [Row[], Row[]];
  const isPair = (l: Row, r: Row): boolean =>
    l.p === r.p && l.key === r.key && r.t >= l.t - before && r.t <= l.t + after;
  const rows = lefts.flatMap((l) =>
    rights
      .filter((r) => isPair(l, r))
      .map((r) => ({ ...l, t: Math.max(l.t, r.t), o: Math.max(l.o, r.o), n: pairOf(l, r) })),
  );
  const isOver = ({ p, t }: Row, span: number): boolean =>
    (watermarks[p] ?? -Infinity) > t + span + grace;
  if (how !== "join")
    for (const l of lefts)
      if (isOver(l, after) && !rights.some((r) => isPair(l, r)))
        rows.push({ ...l, n: pairOf(l, null) });
  if (how === "outerJoin")
    for (const r of rights)
      if (isOver(r, before) && !lefts.some((l) => isPair(l, r)))
        rows.push({ ...r, n: pairOf(null, r) });
  const delay = { join: 0, leftJoin: grace + after, outerJoin: grace + Math.max(before, after) };
  return { rows, watermarks: watermarks.map((w) => w - delay[how]) };
}
