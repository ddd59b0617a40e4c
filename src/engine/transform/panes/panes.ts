// The panes of hopping windows: the spans between two neighbouring edges of windows. A record changes the aggregate of its pane
// alone, and a window is put together of its panes when it closes, so the cost of a record does not grow with the number of its
// windows. A record that is late for the first of them counts from a later end on. Pure.
import { isHead, isPane } from "../../core/pane-keys.ts";
import type { StateEntry } from "../../core/state.ts";
import type { AlignedWindow } from "../../core/window-span.ts";

/** Panes of a key that follow one another without a gap, from the start of the first to that of the last. */
export interface PaneRange {
  readonly firstMs: number;
  readonly lastMs: number;
  /** The end of the first window that takes something of them; 0 where none was closed or late. */
  readonly fromMs: number;
}

/** The panes of a key that have something, in the order of time. */
export interface Panes {
  /** The largest end that was closed. */
  readonly closedMs: number;
  readonly ranges: readonly PaneRange[];
}

export const NO_PANES: Panes = { closedMs: -Infinity, ranges: [] };

/** The start of the pane that a time lies in. */
export function paneOf({ sizeMs, advanceMs }: AlignedWindow, timeMs: number): number {
  const start = timeMs - (timeMs % advanceMs);
  const end = start + (sizeMs % advanceMs);
  return timeMs < end ? start : end;
}

/** The start of the pane behind one. */
export function paneBehind({ sizeMs, advanceMs }: AlignedWindow, paneMs: number): number {
  const start = paneMs - (paneMs % advanceMs);
  const end = start + (sizeMs % advanceMs);
  return paneMs < end ? end : start + advanceMs;
}

/** The first end of a window behind a time. */
export const endAfter = ({ sizeMs, advanceMs }: AlignedWindow, timeMs: number): number =>
  (Math.floor((timeMs - sizeMs) / advanceMs) + 1) * advanceMs + sizeMs;

/** The end of the first window that a time lies in; none begins before the epoch. */
export const firstEndOf = (window: AlignedWindow, timeMs: number): number =>
  Math.max(window.sizeMs, endAfter(window, timeMs));

/** The end of the last window that a time lies in. */
export const lastEndOf = ({ sizeMs, advanceMs }: AlignedWindow, timeMs: number): number =>
  timeMs - (timeMs % advanceMs) + sizeMs;

/** The end from which on a record counts, as it is stored: 0 where that is the next one to close. */
export function fromOf(
  window: AlignedWindow,
  { closedMs }: Panes,
  { timeMs, endMs }: { readonly timeMs: number; readonly endMs: number },
): number {
  return endMs <= Math.max(firstEndOf(window, timeMs), endAfter(window, closedMs)) ? 0 : endMs;
}

/** The panes with this one; the same where it is among them. */
export function withPane(
  window: AlignedWindow,
  panes: Panes,
  { paneMs, fromMs }: { readonly paneMs: number; readonly fromMs: number },
): Panes {
  const { closedMs, ranges } = panes;
  const at = ranges.findLastIndex(({ firstMs }) => firstMs <= paneMs);
  const range = ranges[at];
  const isIn = range !== undefined && paneMs <= range.lastMs;
  if (isIn && range.fromMs <= fromMs) return panes;
  const one = { firstMs: paneMs, lastMs: paneMs, fromMs };
  const around = isIn ? without(window, range, paneMs) : [range === undefined ? [] : [range], []];
  const [before = [], behind = []] = around;
  const list = [...ranges.slice(0, Math.max(at, 0)), ...before, one, ...behind];
  return { closedMs, ranges: joined(window, [...list, ...ranges.slice(at + 1)]) };
}

/** A range without one of its panes: what is before it, and what is behind. */
function without(
  window: AlignedWindow,
  range: PaneRange,
  paneMs: number,
): readonly (readonly PaneRange[])[] {
  const before: PaneRange[] = [];
  for (const ms of startsIn(window, range, paneMs))
    before.push({ ...range, firstMs: ms, lastMs: ms });
  const behindMs = paneBehind(window, paneMs);
  const behind = behindMs > range.lastMs ? [] : [{ ...range, firstMs: behindMs }];
  return [joined(window, before), behind];
}

/** Ranges that touch, and count from the same end on, are one. */
function joined(window: AlignedWindow, ranges: readonly PaneRange[]): readonly PaneRange[] {
  const all: PaneRange[] = [];
  for (const range of ranges) {
    const last = all.at(-1);
    if (last?.fromMs === range.fromMs && paneBehind(window, last.lastMs) === range.firstMs)
      all[all.length - 1] = { ...last, lastMs: range.lastMs };
    else all.push(range);
  }
  return all;
}

/** The starts of the panes of a range that lie before this time. */
export function* startsIn(
  window: AlignedWindow,
  range: PaneRange,
  beforeMs: number,
): Iterable<number> {
  for (let ms = range.firstMs; ms <= range.lastMs && ms < beforeMs; ms = paneBehind(window, ms))
    yield ms;
}

/** The end of the next window that closes; Infinity where no pane has anything. */
export function nextEndOf(window: AlignedWindow, { closedMs, ranges }: Panes): number {
  const least = endAfter(window, closedMs);
  let next = Infinity;
  for (const { firstMs, fromMs } of ranges)
    next = Math.min(next, Math.max(firstEndOf(window, firstMs), fromMs, least));
  return next;
}

/** The ends of windows behind those that are closed in which panes have something: spans of them, each once. */
function openSpans(
  window: AlignedWindow,
  { closedMs, ranges }: Panes,
): readonly { readonly fromMs: number; readonly toMs: number }[] {
  const least = endAfter(window, closedMs);
  const spans = ranges
    .map(({ firstMs, lastMs, fromMs }) => ({
      firstEndMs: Math.max(firstEndOf(window, firstMs), fromMs, least),
      lastEndMs: lastEndOf(window, lastMs),
    }))
    .sort((a, b) => a.firstEndMs - b.firstEndMs);
  let seenMs = -Infinity;
  return spans.flatMap(({ firstEndMs, lastEndMs: toMs }) => {
    const fromMs = Math.max(firstEndMs, seenMs + window.advanceMs);
    if (toMs < fromMs) return [];
    seenMs = toMs;
    return [{ fromMs, toMs }];
  });
}

/** The number of open windows in which panes have something. */
export const openWindows = (window: AlignedWindow, panes: Panes): number =>
  openSpans(window, panes).reduce(
    (count, { fromMs, toMs }) => count + (toMs - fromMs) / window.advanceMs + 1,
    0,
  );

/** Their ends. */
export function* openEnds(window: AlignedWindow, panes: Panes): Iterable<number> {
  for (const { fromMs, toMs } of openSpans(window, panes))
    for (let endMs = fromMs; endMs <= toMs; endMs += window.advanceMs) yield endMs;
}

/** The aggregates of which the window that ends then is made, in the order of time. */
export function valuesIn(
  window: AlignedWindow,
  { ranges }: Panes,
  endMs: number,
  paneAt: (paneMs: number) => Pick<StateEntry, "value"> | null,
): readonly unknown[] {
  const startMs = endMs - window.sizeMs;
  const values: unknown[] = [];
  for (const range of ranges) {
    if (range.fromMs > endMs) continue;
    for (const paneMs of startsIn(window, range, endMs)) {
      if (paneMs < startMs) continue;
      for (const [fromMs, value] of portionsOf(paneAt(paneMs)))
        if (fromMs <= endMs) values.push(value);
    }
  }
  return values;
}

/** The panes when the window that ends then is closed, and the starts of those that no later one needs. */
export function closedAt(
  window: AlignedWindow,
  { ranges }: Panes,
  endMs: number,
): { readonly left: Panes; readonly over: readonly number[] } {
  const neededMs = endMs - window.sizeMs + window.advanceMs;
  const nextMs = endMs + window.advanceMs;
  const over: number[] = [];
  const left: PaneRange[] = [];
  for (const range of ranges) {
    if (range.fromMs > endMs) {
      left.push(range.fromMs > nextMs ? range : { ...range, fromMs: 0 });
      continue;
    }
    let firstMs = range.firstMs;
    for (; firstMs <= range.lastMs && firstMs < neededMs; firstMs = paneBehind(window, firstMs))
      over.push(firstMs);
    if (firstMs <= range.lastMs) left.push({ firstMs, lastMs: range.lastMs, fromMs: 0 });
  }
  return { left: { closedMs: endMs, ranges: joined(window, left) }, over };
}

// What a store has of a key: one entry with its panes, and one for each pane, with aggregates by the ends from which they count.

/** What came for one pane, and counts from this end on. */
export type Portion = readonly [fromMs: number, value: unknown];

/** Panes as they are stored, with the window whose panes they are: JSON has no infinity. */
interface StoredPanes {
  readonly of: readonly [sizeMs: number, advanceMs: number];
  readonly closed: number | null;
  readonly ranges: readonly (readonly [firstMs: number, lastMs: number, fromMs: number])[];
}

export const storedOf = (
  { sizeMs, advanceMs }: AlignedWindow,
  { closedMs, ranges }: Panes,
): StoredPanes => ({
  of: [sizeMs, advanceMs],
  closed: closedMs === -Infinity ? null : closedMs,
  ranges: ranges.map(({ firstMs, lastMs, fromMs }) => [firstMs, lastMs, fromMs]),
});

/** The panes of another size or advance, which was deployed before, count by their starts. */
export function panesOf(window: AlignedWindow, stored: unknown): Panes {
  const { of, closed, ranges: all } = stored as StoredPanes;
  const [sizeMs, advanceMs] = of;
  const ranges = all.map(([firstMs, lastMs, fromMs]): PaneRange => ({ firstMs, lastMs, fromMs }));
  const closedMs = closed ?? -Infinity;
  if (sizeMs === window.sizeMs && advanceMs === window.advanceMs) return { closedMs, ranges };
  const before = { ...window, sizeMs, advanceMs };
  const single = ranges.flatMap((range) =>
    [...startsIn(before, range, Infinity)].map((ms) => ({ ...range, firstMs: ms, lastMs: ms })),
  );
  return { closedMs, ranges: single };
}

interface Numbers {
  readonly 2: readonly [number, number];
  readonly 3: readonly [number, number, number];
}

/** The fault of a stored list of panes, or null. */
export function wrongPanes(stored: unknown): string | null {
  const { of, closed, ranges } = (stored ?? {}) as Partial<StoredPanes>;
  if (!isNumbers(of, 2) || of[1] <= 0 || of[0] < of[1]) return "it lacks its window";
  if (closed !== null && !Number.isSafeInteger(closed)) return "it lacks the end that was closed";
  if (!Array.isArray(ranges) || ranges.length === 0) return "it has no panes";
  let beforeMs = -1;
  const isNext = (range: unknown): boolean => {
    if (!isNumbers(range, 3)) return false;
    const [firstMs, lastMs] = range;
    const isBehind = firstMs > beforeMs && lastMs >= firstMs;
    beforeMs = lastMs;
    return isBehind && lastMs - firstMs <= RANGE_PANES_MAX * of[1];
  };
  return ranges.every(isNext) ? null : "its panes are wrong";
}

/** The fault of a stored pane, or null. `wrongValue` says that of an aggregate. */
export function wrongPortions(
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  if (!Array.isArray(stored) || stored.length === 0) return "it is no list";
  for (const one of stored as readonly unknown[]) {
    const [fromMs, value] = Array.isArray(one) ? (one as unknown[]) : [];
    if (!Number.isSafeInteger(fromMs)) return "it lacks a time";
    const wrong = wrongValue(value);
    if (wrong !== null) return wrong;
  }
  return null;
}

/** Nobody has filled more of them between two closes. */
const RANGE_PANES_MAX = 1_000_000;

const isNumbers = <N extends 2 | 3>(list: unknown, length: N): list is Numbers[N] =>
  Array.isArray(list) && list.length === length && list.every((one) => Number.isSafeInteger(one));

export const portionsOf = (entry: Pick<StateEntry, "value"> | null): readonly Portion[] =>
  (entry?.value ?? []) as readonly Portion[];

/** The fault of what a store has for a key, or null. `wrongValue` says that of an aggregate. */
export function wrongOfPanes(
  key: Buffer,
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  if (isHead(key)) return wrongPanes(stored);
  if (!isPane(key)) return "its key names no pane";
  return wrongPortions(stored, wrongValue);
}
