// When a window is late for a record: by its origin time in every run, or since time was farther by idleness.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item } from "../../../src/engine/transform/operator.ts";
import { latenessOf } from "../../../src/engine/transform/windows/result.ts";

const item = (originMs: number, watermark: number): Item =>
  ({ record: { originMs }, watermark }) as Item;

test("W4: a window that is open for the last time at 11 takes what came by then", () => {
  for (const [originMs, watermark, lateness] of [
    [10, 10, null],
    [11, 11, null],
    [12, 12, "own"],
    [12, 5, "own"],
    [11, 12, "closed"],
    [5, 12, "closed"],
    [5, -Infinity, null],
  ] as const)
    assert.equal(latenessOf(item(originMs, watermark), 11), lateness);
});
