// Sliding windows of a key beside their definition, applied to all records at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SlidingWindow } from "../../../src/engine/core/window-span.ts";
import {
  closedAt,
  endsChanged,
  isTaken,
  lastOpenMs,
  nextEndMs,
  NO_SLIDES,
  type Slide,
  type Slides,
  slidesIn,
  withoutOldest,
  withSlide,
} from "../../../src/engine/transform/windows/slides.ts";
import { Chance } from "../../support/chance.ts";

type Texts = readonly string[];
const joined = (a: unknown, b: unknown): unknown => [...(a as Texts), ...(b as Texts)];
const contentOf = (slides: readonly Slide[]): string[] =>
  slides.flatMap(({ value }) => value as Texts).sort();

/** By the definition: of all records that have come, the windows and what is in them. */
function windowsOf(window: SlidingWindow, records: readonly Slide[]): Map<number, string[]> {
  const { differenceMs, graceMs } = window;
  const isOnTime = ({ atMs }: Slide, endMs: number): boolean => atMs <= endMs + graceMs;
  const windows = new Map<number, string[]>();
  const add = (endMs: number): void => {
    const startMs = endMs - differenceMs;
    const content = records.filter(
      (one) => one.timeMs >= startMs && one.timeMs <= endMs && isOnTime(one, endMs),
    );
    if (content.length > 0) windows.set(endMs, contentOf(content));
  };
  for (const record of records) {
    const own = Math.max(record.timeMs, differenceMs);
    if (isOnTime(record, own)) add(own);
    if (isOnTime(record, record.timeMs + differenceMs)) add(record.timeMs + differenceMs + 1);
  }
  return windows;
}

interface Drawn {
  readonly window: SlidingWindow;
  readonly records: readonly Slide[];
}
function draw(seed: number): Drawn {
  const chance = new Chance(seed);
  const differenceMs = 1 + chance.below(8);
  const graceMs = chance.below(7);
  let atMs = chance.of([0, 3, 500]);
  const records = Array.from({ length: 1 + chance.below(14) }, (_, i): Slide => {
    atMs += chance.of([0, 0, 1, 2, 5, 12]);
    const timeMs = Math.max(0, atMs - chance.of([0, 0, 1, 3, 9, 17]));
    return { timeMs, atMs, value: [`r${String(i)}`] };
  });
  return { window: { kind: "sliding", differenceMs, graceMs }, records };
}

test("windows close with what their definition says, each once, in the order of their ends", () => {
  let closedCount = 0;
  for (let seed = 1; seed <= 4_000; seed++) {
    const { window, records } = draw(seed);
    const closed: [number, string[]][] = [];
    let slides: Slides = NO_SLIDES;
    const fire = (watermark: number): void => {
      for (;;) {
        const endMs = nextEndMs(window, slides);
        if (endMs === Infinity || lastOpenMs(window, endMs) >= watermark) return;
        const content = slidesIn(window, slides, endMs);
        if (content.length > 0) closed.push([endMs, contentOf(content)]);
        slides = closedAt(window, slides, endMs) ?? NO_SLIDES;
      }
    };
    for (const record of records) {
      fire(record.atMs);
      if (isTaken(window, record.timeMs, record.atMs)) slides = withSlide(slides, record, joined);
    }
    fire(Infinity);
    assert.deepEqual(slides, NO_SLIDES, `seed ${String(seed)}: something is left`);
    const taken = records.filter(({ timeMs, atMs }) => isTaken(window, timeMs, atMs));
    const expected = [...windowsOf(window, taken)].sort(([a], [b]) => a - b);
    assert.deepEqual(closed, expected, `seed ${String(seed)}`);
    closedCount += closed.length;
  }
  assert.ok(closedCount > 20_000);
});

test("a record changes the windows that its definition says, and no others", () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const { window, records } = draw(seed);
    let slides: Slides = NO_SLIDES;
    const come: Slide[] = [];
    for (const record of records) {
      if (!isTaken(window, record.timeMs, record.atMs)) continue;
      const before = windowsOf(window, come);
      come.push(record);
      const after = withSlide(slides, record, joined);
      const changed = [...windowsOf(window, come)]
        .filter(([endMs, content]) => String(before.get(endMs)) !== String(content))
        .map(([endMs]) => endMs)
        .sort((a, b) => a - b);
      const found = endsChanged(window, { before: slides, after }, record);
      assert.deepEqual(found, changed, `seed ${String(seed)}`);
      slides = after;
    }
  }
});

test("what comes at one time is one slide, so a key does not grow with it", () => {
  let slides: Slides = NO_SLIDES;
  for (let i = 0; i < 1_000; i++)
    slides = withSlide(slides, { timeMs: 5, atMs: 9, value: 1 }, (a, b) => Number(a) + Number(b));
  assert.deepEqual(slides.slides, [{ timeMs: 5, atMs: 9, value: 1_000 }]);
});

test("when the oldest time goes, the window that ends with it is closed for what comes later", () => {
  const window: SlidingWindow = { kind: "sliding", differenceMs: 4, graceMs: 100 };
  const slideAt = (timeMs: number): Slide => ({ timeMs, atMs: 104, value: [String(timeMs)] });
  const before = withoutOldest(window, {
    closedMs: -Infinity,
    slides: [101, 101, 102, 104].map(slideAt),
  });
  assert.deepEqual(before, { closedMs: 101, slides: [102, 104].map(slideAt) });
  const after = withSlide(before, slideAt(100), joined);
  assert.deepEqual(endsChanged(window, { before, after }, slideAt(100)), [102, 104, 105]);
});
