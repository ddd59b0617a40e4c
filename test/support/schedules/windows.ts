// The windows of an edge: which records each has, as sets, and whether it is closed.
import type { GraphNode, WindowSpec } from "./graph.ts";
import type { Row } from "./oracle.ts";

export type WindowNode = Extract<GraphNode, { kind: "window" }>;

/** Whether the record goes to the late ones; other windows may still take it. */
export function isLateForWindow({ window, grace }: WindowNode, { t, o }: Row): boolean {
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
export interface Closed {
  readonly rows: readonly Row[];
  readonly last: number;
}

interface Reach {
  readonly grace: number;
  readonly reached: number;
}

export function closedOf(window: WindowSpec, rows: readonly Row[], reach: Reach): readonly Closed[] {
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
