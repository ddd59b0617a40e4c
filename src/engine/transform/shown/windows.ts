// The windows of a key, as commands show them: of every kind, in whatever form its store keeps them.
import {
  shownDue,
  shownTime,
  type EntryReader,
  type ReadEntry,
  type ShownPart,
} from "../../core/state-reader.ts";
import { isHead, isPaneOrHeadOf, paneIn } from "../../core/pane-keys.ts";
import {
  endOf,
  type AlignedWindow,
  type FixedWindow,
  type SessionWindow,
  type SlidingWindow,
} from "../../core/window-span.ts";
import type { Filling } from "../windows/counted.ts";
import { isWindowKey, recordKeyOf, startOf } from "../windows/aligned.ts";
import { lastOpenMs } from "../windows/gaps.ts";
import { openEnds as endsOfPanes, panesOf, valuesIn } from "../panes/panes.ts";
import { sessionsOf } from "../windows/session.ts";
import { lastOpenMs as lastOpenSlide, openEnds, slidesIn } from "../windows/slides.ts";
import { slidesOf } from "../windows/stored-slides.ts";

type Merge = (a: unknown, b: unknown) => unknown;

interface OpenWindow {
  readonly startMs: number;
  readonly endMs: number;
  readonly value: unknown;
}

/** It closes once the watermark in front of its operator has reached that time. */
const windowOf = ({ startMs, endMs, value }: OpenWindow, lastMs: number | null): ShownPart => ({
  ...{ start: shownTime(startMs), end: shownTime(endMs), value },
  ...shownDue("closes", lastMs),
});

const isOwn = (entry: Buffer, key: Buffer): boolean => entry.equals(key);

/** Windows with an entry each. */
export const readingWindows = (window: FixedWindow): EntryReader => ({
  parts: "window",
  mayBeOf: (entry, key) => isWindowKey(entry) && recordKeyOf(entry).equals(key),
  show: (entries) =>
    entries
      .map((entry) => ({ ...entry, startMs: startOf(entry.key) }))
      .sort((a, b) => a.startMs - b.startMs)
      .map(({ startMs, value, dueMs }) =>
        windowOf({ startMs, endMs: endOf(window, startMs), value }, dueMs),
      ),
});

/** Hopping windows that are put together of panes. */
export const readingPanes = (window: AlignedWindow, merge: Merge): EntryReader => ({
  parts: "window",
  mayBeOf: isPaneOrHeadOf,
  show(entries) {
    const head = entries.find(({ key }) => isHead(key));
    if (head === undefined) return [];
    const panes = panesOf(window, head.value);
    const byPane = new Map(
      entries.flatMap((entry) => (isHead(entry.key) ? [] : [[paneIn(entry.key), entry] as const])),
    );
    return [...endsOfPanes(window, panes)].flatMap((endMs): ShownPart[] => {
      const values = valuesIn(window, panes, endMs, (ms) => byPane.get(ms) ?? null);
      if (values.length === 0) return [];
      const one = { startMs: endMs - window.sizeMs, endMs, value: values.reduce(merge) };
      return [windowOf(one, endMs + window.graceMs - 1)];
    });
  },
});

export const readingSlides = (window: SlidingWindow, merge: Merge): EntryReader => ({
  parts: "window",
  mayBeOf: isOwn,
  show: (entries) =>
    entries.flatMap((entry) => {
      const slides = slidesOf(entry);
      return openEnds(window, slides).flatMap((endMs): ShownPart[] => {
        const values = slidesIn(window, slides, endMs).map(({ value }) => value);
        if (values.length === 0) return [];
        const one = { startMs: endMs - window.differenceMs, endMs, value: values.reduce(merge) };
        return [windowOf(one, lastOpenSlide(window, endMs))];
      });
    }),
});

export const readingSessions = (window: SessionWindow): EntryReader => ({
  parts: "session",
  mayBeOf: isOwn,
  show: (entries) =>
    entries.flatMap((entry) =>
      sessionsOf(entry).sessions.map((one) => windowOf(one, lastOpenMs(window, one))),
    ),
});

/** Windows of so many records: the one of a key that is being filled. */
export const readingCounts: EntryReader = {
  parts: "window",
  mayBeOf: isOwn,
  show: (entries: readonly ReadEntry[]) =>
    entries.map((entry) => {
      const [startMs, endMs, records, value] = entry.value as Filling;
      return { ...windowOf({ startMs, endMs, value }, null), records };
    }),
};
