// Windows of event time as they are declared, and the windows that a time lies in: [start, end), in ms, aligned to the epoch or
// to a calendar. Pure.
import type { Duration } from "./span.ts";
import { calendarSpanOf, type CalendarWindow } from "./calendar-window.ts";

/** A window whose start says where it ends. */
export type FixedWindow = AlignedWindow | CalendarWindow;

export interface AlignedWindow {
  readonly kind: "tumbling" | "hopping";
  readonly sizeMs: number;
  /** The distance between two starts; a tumbling window's is its size. */
  readonly advanceMs: number;
  /** How long after its end a window still takes records. */
  readonly graceMs: number;
}

/** Windows around each record: [start, start + difference], both ends inclusive. */
export interface SlidingWindow {
  readonly kind: "sliding";
  readonly differenceMs: number;
  readonly graceMs: number;
}

/** Windows of records that lie at most the gap apart: [start, end], both ends inclusive. */
export interface SessionWindow {
  readonly kind: "session";
  readonly gapMs: number;
  /** The largest age of a record that is accepted. */
  readonly graceMs: number;
}

/** Windows of so many records of a key, one behind the other. */
export interface CountWindow {
  readonly kind: "count";
  readonly size: number;
  /** Records are taken in the order of their times, this long behind; null: as they come. */
  readonly order: { readonly grace: Duration } | null;
}

/** The starts of the windows that a time lies in, the first one first. None begins before the epoch. */
export function startsOf(window: FixedWindow, timeMs: number): readonly number[] {
  // mistake: window before the epoch
  if (window.kind === "calendar") return [Math.max(0, calendarSpanOf(window, timeMs).startMs)];
  const { sizeMs, advanceMs } = window;
  const last = Math.floor(timeMs / advanceMs) * advanceMs;
  if (advanceMs === sizeMs) return [last];
  const starts: number[] = [];
  for (let start = last; start > timeMs - sizeMs && start >= 0; start -= advanceMs)
    starts.unshift(start);
  return starts;
}

const HOUR_MS = 3_600_000;
/** A clock that is set back by up to two hours makes them longer. */
const LONGEST_MS = {
  ...{ hour: 3 * HOUR_MS, day: 26 * HOUR_MS },
  ...{ week: (7 * 24 + 2) * HOUR_MS, month: (31 * 24 + 2) * HOUR_MS },
} as const;

/** No window is longer. */
export const longestMs = (window: FixedWindow | SlidingWindow): number =>
  window.kind === "sliding"
    ? window.differenceMs
    : window.kind === "calendar"
      ? LONGEST_MS[window.unit]
      : window.sizeMs;

/** The end of the window that begins then; its last ms lies before it. */
export const endOf = (window: FixedWindow, startMs: number): number =>
  window.kind === "calendar" ? calendarSpanOf(window, startMs).endMs : startMs + window.sizeMs;
