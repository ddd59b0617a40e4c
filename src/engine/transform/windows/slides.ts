// The sliding windows of one key, of [end - difference, end] in ms, both ends inclusive: one that ends with each record, and one
// that begins behind it where it is not empty; records before `difference` share [0, difference]. A record belongs to those
// that its time lies in, and that were open when it came. So windows follow from the records, in whatever order they came.
// Pure.
import type { SlidingWindow } from "../../core/window-span.ts";

/** The records of one time, and when they came. */
export interface Slide {
  /** Event time, ms. */
  readonly timeMs: number;
  /** How far time was when it came: its origin time, or the watermark where that was farther. */
  readonly atMs: number;
  /** An aggregate of what came then. */
  readonly value: unknown;
}

/** The slides of a key, all taken by some window (`isTaken`), in the order of their times, of one time as they came. */
export interface Slides {
  /** The largest end that was closed. */
  readonly closedMs: number;
  readonly slides: readonly Slide[];
}

export const NO_SLIDES: Slides = { closedMs: -Infinity, slides: [] };

/** The end of the window that ends with a record of that time. */
export const ownEndMs = ({ differenceMs }: SlidingWindow, timeMs: number): number =>
  Math.max(timeMs, differenceMs);
/** The end of the window that begins behind it, which is the last that it has a part in. */
const endBehindMs = ({ differenceMs }: SlidingWindow, timeMs: number): number =>
  timeMs + 1 + differenceMs;

/** The last ms at which a window that ends then is open. */
export const lastOpenMs = ({ graceMs }: SlidingWindow, endMs: number): number => endMs + graceMs;

/** Whether any window takes a record of that time, when time is so far. */
export const isTaken = (window: SlidingWindow, timeMs: number, atMs: number): boolean =>
  atMs <= lastOpenMs(window, timeMs + window.differenceMs);

/** The slides with one more. What comes at one time, when time is equally far, is one slide. */
export function withSlide(
  { closedMs, slides }: Slides,
  slide: Slide,
  merge: (a: unknown, b: unknown) => unknown,
): Slides {
  const at = slides.findLastIndex(({ timeMs }) => timeMs <= slide.timeMs);
  const last = slides[at];
  if (last?.timeMs === slide.timeMs && last.atMs === slide.atMs) {
    const merged = { ...last, value: merge(last.value, slide.value) };
    return { closedMs, slides: slides.with(at, merged) };
  }
  return { closedMs, slides: slides.toSpliced(at + 1, 0, slide) };
}

/** The content of the window that ends then; empty where there is none. */
export function slidesIn(
  window: SlidingWindow,
  { slides }: Slides,
  endMs: number,
): readonly Slide[] {
  const startMs = endMs - window.differenceMs;
  const lastMs = lastOpenMs(window, endMs);
  // mistake: window behind a record forgotten
  const opens = slides.some(
    ({ timeMs, atMs }) =>
      timeMs === startMs - 1 || (ownEndMs(window, timeMs) === endMs && atMs <= lastMs),
  );
  if (!opens) return [];
  // mistake: sliding window takes what is late
  return slides.filter(
    ({ timeMs, atMs }) => timeMs >= startMs && timeMs <= endMs && atMs <= lastMs,
  );
}

/** The ends of windows behind those that are closed that may have something. */
export function openEnds(window: SlidingWindow, { closedMs, slides }: Slides): readonly number[] {
  const ends = slides.flatMap(({ timeMs }) => [
    ownEndMs(window, timeMs),
    endBehindMs(window, timeMs),
  ]);
  return [...new Set(ends)].filter((endMs) => endMs > closedMs).sort((a, b) => a - b);
}

/** The first end behind those that are closed at which a window may close, or a slide is done with; Infinity: none. */
export function nextEndMs(window: SlidingWindow, { closedMs, slides }: Slides): number {
  let next = Infinity;
  for (const { timeMs } of slides) {
    const own = ownEndMs(window, timeMs);
    const end = own > closedMs ? own : endBehindMs(window, timeMs);
    // The slides are in the order of their times, and so are the ends of either kind.
    if (end > closedMs) next = Math.min(next, end);
  }
  return next;
}

/** The slides when the window that ends then is closed; null when nothing is left. */
export function closedAt(window: SlidingWindow, { slides }: Slides, endMs: number): Slides | null {
  const left = slides.filter(({ timeMs }) => endBehindMs(window, timeMs) > endMs);
  return left.length === 0 ? null : { closedMs: endMs, slides: left };
}

/** The slides without those of the oldest time. The window that ends with it is closed; later ones lack it. */
export function withoutOldest(window: SlidingWindow, { closedMs, slides }: Slides): Slides {
  const oldestMs = slides[0]?.timeMs ?? -Infinity;
  return {
    closedMs: Math.max(closedMs, ownEndMs(window, oldestMs)),
    slides: slides.filter(({ timeMs }) => timeMs !== oldestMs),
  };
}

/** The ends of the windows that the last slide has made or changed, the first one first. */
export function endsChanged(
  window: SlidingWindow,
  { before, after }: { readonly before: Slides; readonly after: Slides },
  { timeMs, atMs }: Slide,
): readonly number[] {
  const last = endBehindMs(window, timeMs);
  const ends = after.slides.flatMap((slide) => [
    ownEndMs(window, slide.timeMs),
    endBehindMs(window, slide.timeMs),
  ]);
  const isChanged = (endMs: number): boolean =>
    endMs >= timeMs &&
    endMs <= last &&
    endMs > after.closedMs &&
    atMs <= lastOpenMs(window, endMs) &&
    slidesIn(window, after, endMs).length > 0 &&
    // The window behind it has nothing of it; it may be there already.
    (endMs < last || slidesIn(window, before, endMs).length === 0);
  return [...new Set(ends)].filter(isChanged).sort((a, b) => a - b);
}
