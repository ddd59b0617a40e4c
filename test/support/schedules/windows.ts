// The windows of an edge: which records each has, as sets, and whether it is closed.
import { calendarSpan } from "./calendar.ts";
import type { GraphNode, WindowSpec } from "./graph.ts";
import type { Row } from "./oracle.ts";

export type WindowNode = Extract<GraphNode, { kind: "window" }>;

/** Whether the record goes to the late ones; other windows may still take it. */
export function isLateForWindow({ window, grace }: WindowNode, { t, o }: Row): boolean {
  if (window.kind === "session") return t < o - grace;
  if (window.kind === "sliding") return o > t + grace;
  return spansOf(window, t).some(({ end }) => o >= end + grace);
}

/** [start, end) */
interface Span {
  readonly start: number;
  readonly end: number;
}

function spansOf(window: Extract<WindowSpec, { kind: "hopping" | "calendar" }>, t: number): Span[] {
  if (window.kind === "calendar") return [calendarSpan(window, t)];
  const { size, advance } = window;
  const spans: Span[] = [];
  for (let start = Math.floor(t / advance) * advance; start > t - size; start -= advance)
    spans.push({ start, end: start + size });
  return spans;
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

export function closedOf(
  window: WindowSpec,
  rows: readonly Row[],
  reach: Reach,
): readonly Closed[] {
  if (window.kind === "session") return sessions(window.gap, rows, reach);
  if (window.kind === "sliding") return slides(window.difference, rows, reach);
  const all = rows.flatMap((row) => spansOf(window, row.t).map(({ end }) => ({ row, end })));
  const onTime = all.filter(({ row, end }) => row.o < end + reach.grace);
  return [...Map.groupBy(onTime, ({ end }) => end)]
    .filter(([end]) => reach.reached >= end + reach.grace)
    .map(([end, own]) => ({ rows: own.map(({ row }) => row), last: end - 1 }));
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
