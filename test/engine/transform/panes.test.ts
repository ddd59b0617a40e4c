// The panes of hopping windows beside their definition, and what is believed of stored ones.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startsOf, type AlignedWindow } from "../../../src/engine/core/window-span.ts";
import { loadDue } from "../../../src/engine/transform/agenda.ts";
import { stateKey, type Operator } from "../../../src/engine/transform/operator.ts";
import {
  closedAt,
  endAfter,
  firstEndOf,
  fromOf,
  lastEndOf,
  nextEndOf,
  NO_PANES,
  paneBehind,
  paneOf,
  type Panes,
  panesOf,
  startsIn,
  storedOf,
  withPane,
  wrongPanes,
  wrongPortions,
} from "../../../src/engine/transform/panes/panes.ts";
import type { DueStateKey, TaskStores } from "../../../src/engine/core/state.ts";
import { Chance } from "../../support/chance.ts";

const windowOf = (sizeMs: number, advanceMs: number, graceMs = 0): AlignedWindow => ({
  ...{ kind: "hopping", sizeMs, advanceMs, graceMs },
});
const all = (window: AlignedWindow, { ranges }: Panes): number[] =>
  ranges.flatMap((range) => [...startsIn(window, range, Infinity)]);

test("the times of a pane lie in the same windows, and at most two panes begin in an advance", () => {
  for (const [size, advance] of [
    [10, 5],
    [10, 3],
    [7, 4],
    [61, 60],
    [12, 1],
  ] as const) {
    const window = windowOf(size, advance);
    const starts = new Set<number>();
    for (let ms = 0; ms < 20 * size; ms++) {
      const pane = paneOf(window, ms);
      starts.add(pane);
      assert.deepEqual(startsOf(window, ms), startsOf(window, pane));
      assert.equal(firstEndOf(window, ms), (startsOf(window, ms)[0] ?? 0) + size);
      assert.equal(lastEndOf(window, ms), (startsOf(window, ms).at(-1) ?? 0) + size);
      if (paneOf(window, ms + 1) !== pane) assert.equal(paneBehind(window, pane), ms + 1);
    }
    assert.ok(starts.size <= 2 * Math.ceil((20 * size) / advance));
  }
});

/** Panes one by one: from which end on each counts. */
class Plain {
  readonly from = new Map<number, number>();
  closedMs = -Infinity;
  readonly #window: AlignedWindow;

  constructor(window: AlignedWindow) {
    this.#window = window;
  }

  nextOf([paneMs, fromMs]: readonly [number, number]): number {
    return Math.max(
      firstEndOf(this.#window, paneMs),
      fromMs,
      endAfter(this.#window, this.closedMs),
    );
  }

  get nextMs(): number {
    return Math.min(...[...this.from].map((one) => this.nextOf(one)));
  }

  close(): number[] {
    const endMs = this.nextMs;
    const over = [...this.from].filter(
      (one) => this.nextOf(one) <= endMs && lastEndOf(this.#window, one[0]) <= endMs,
    );
    for (const [paneMs] of over) this.from.delete(paneMs);
    this.closedMs = endMs;
    return over.map(([paneMs]) => paneMs).sort((a, b) => a - b);
  }
}

/** Ranges have the panes, each with its next close, and survive being stored. */
function assertSame(window: AlignedWindow, panes: Panes, plain: Plain): void {
  assert.deepEqual(
    all(window, panes),
    [...plain.from.keys()].sort((a, b) => a - b),
  );
  for (const range of panes.ranges)
    for (const paneMs of startsIn(window, range, Infinity))
      assert.equal(
        plain.nextOf([paneMs, range.fromMs]),
        plain.nextOf([paneMs, plain.from.get(paneMs) ?? NaN]),
      );
  if (panes.ranges.length === 0) return;
  assert.equal(wrongPanes(storedOf(window, panes)), null);
  assert.deepEqual(panesOf(window, storedOf(window, panes)), panes);
}

test("ranges of panes are those panes, whatever comes and closes in between, in 300 cases", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const chance = new Chance(seed);
    const size = chance.of([10, 12, 7]);
    const window = windowOf(size, chance.of([1, 3, 4, 5, 6]));
    const plain = new Plain(window);
    let panes = NO_PANES;
    let now = 0;
    for (let step = 0; step < 30; step++) {
      if (chance.is(0.3) && plain.from.size > 0) {
        assert.equal(nextEndOf(window, panes), plain.nextMs);
        const { left, over } = closedAt(window, panes, nextEndOf(window, panes));
        assert.deepEqual(over, plain.close());
        panes = left;
      } else {
        now += chance.of([0, 1, 2, 5, 20]);
        const paneMs = paneOf(window, Math.max(0, now - chance.of([0, 0, 2, 9])));
        const ends = [firstEndOf(window, paneMs), lastEndOf(window, paneMs)] as const;
        const endMs = Math.max(chance.of(ends), endAfter(window, plain.closedMs));
        if (endMs > ends[1]) continue;
        const fromMs = fromOf(window, panes, { timeMs: paneMs, endMs });
        panes = withPane(window, panes, { paneMs, fromMs });
        plain.from.set(paneMs, Math.min(fromMs, plain.from.get(paneMs) ?? Infinity));
      }
      assertSame(window, panes, plain);
    }
  }
});

test("however many panes follow one another, what is stored of them is one range", () => {
  const window = windowOf(288, 1);
  let panes = NO_PANES;
  for (let ms = 0; ms < 288; ms++) panes = withPane(window, panes, { paneMs: ms, fromMs: 0 });
  assert.deepEqual(panes.ranges, [{ firstMs: 0, lastMs: 287, fromMs: 0 }]);
});

test("panes of another advance, which was deployed before, count by their starts", () => {
  const before = windowOf(12, 4);
  let panes = NO_PANES;
  for (const ms of [0, 4, 8, 20]) panes = withPane(before, panes, { paneMs: ms, fromMs: 0 });
  const window = windowOf(12, 6);
  const now = panesOf(window, storedOf(before, panes));
  assert.deepEqual(all(window, now), [0, 4, 8, 20]);
  assert.equal(nextEndOf(window, now), 12);
  const { left, over } = closedAt(window, now, 12);
  assert.deepEqual(over, [0, 4]);
  assert.deepEqual(all(window, left), [8, 20]);
});

test("stored panes that nobody has made are refused", () => {
  for (const wrong of [
    null,
    [],
    { of: [10, 5], closed: null, ranges: [] },
    { of: [10], closed: null, ranges: [[0, 5, 0]] },
    { of: [10, 0], closed: null, ranges: [[0, 5, 0]] },
    { of: [10, 5], closed: "0", ranges: [[0, 5, 0]] },
    { of: [10, 5], closed: null, ranges: [[5, 0, 0]] },
    { of: [10, 5], closed: null, ranges: [[0, 5]] },
    { of: [10, 5], closed: null, ranges: [[0, 5, 0], [5, 10, 0]] }, // prettier-ignore
    { of: [10, 5], closed: null, ranges: [[0, 1e15, 0]] },
  ])
    assert.notEqual(wrongPanes(wrong), null, JSON.stringify(wrong));
  const even = (n: unknown): string | null => ((n as number) % 2 === 0 ? null : "odd");
  for (const wrong of [
    null,
    [],
    [2],
    [["0", 2]],
    [[0, 3]],
    [
      [0, 2],
      [10, 3],
    ],
  ])
    // prettier-ignore
    assert.notEqual(wrongPortions(wrong, even), null, JSON.stringify(wrong));
  assert.equal(wrongPortions([[0, 2]], even), null);
});

test("entries that are due are taken until they read too many others", async () => {
  const loads: number[] = [];
  const stores: Pick<TaskStores, "view" | "load"> = {
    view: () => ({ get: () => null, set: () => undefined, add: () => undefined }),
    load: async (_store, keys) => void loads.push(keys.size),
  };
  const keys = Array.from({ length: 10 }, (_, i): DueStateKey => {
    return { ...stateKey(Buffer.from(`k${String(i)}`)), dueMs: i };
  });
  const dueKeys: NonNullable<Operator["dueKeys"]> = (key, want) => {
    for (let i = 0; i < 8_000; i++) want("s", stateKey(Buffer.from(`${key.id} ${String(i)}`)));
  };
  const due = { store: "s", keys, watermark: 10 };
  assert.equal(await loadDue({ dueKeys, stores: [] }, stores as TaskStores, due), 3);
  assert.deepEqual(loads, [24_000]);
  assert.equal(await loadDue({ stores: [] }, stores as TaskStores, due), 10);
});
