import assert from "node:assert/strict";
import { test } from "node:test";
import { generators } from "../../src/demo/generators.ts";
import { furthestAhead } from "../support/made-up-times.ts";

const SOAK_RECORDS = 1_200 * 2_000;

for (const kind of Object.keys(generators)) {
  test(`${kind}: no made-up time passes a clock that is ahead of them all, however many there are`, () => {
    const startMs = Date.UTC(2026, 3, 10);
    for (const count of [0, 1, 100, 60_000, 400_000])
      assert.ok(furthestAhead(kind, { count, startMs, perSecond: 2_000 }) <= 0, String(count));
  });

  test(`${kind}: times lag behind a clock that is slower than they are`, () => {
    // It stands before the first times, and moves on with the records alone.
    for (const perSecond of [1, 2_000, 1_000_000]) {
      const clock = { startMs: Date.UTC(2026, 0, 1, 8), perSecond };
      assert.ok(furthestAhead(kind, { ...clock, count: 20_000 }) <= 0);
      assert.ok(furthestAhead(kind, { ...clock, count: SOAK_RECORDS, first: 20_000 }) <= 0);
    }
  });
}

test("the same options give the same records, whenever it is", () => {
  for (const { records } of Object.values(generators)) {
    const of = (nowMs: number): string => {
      const options = { seed: 3, count: 2_000, updates: 5, repeats: 5, poison: 0 };
      const all = [...records({ ...options, now: () => nowMs })];
      return all.map(({ value }) => JSON.stringify(value)).join("\n");
    };
    assert.equal(of(Date.UTC(2026, 3, 10)), of(Date.UTC(2031, 0, 1)));
  }
});
