import assert from "node:assert/strict";
import { test } from "node:test";
import { grouped, progress, progressLine, spanText } from "../../src/cli/progress.ts";
import { tableLines } from "../../src/cli/table-lines.ts";
import { FakeClock } from "../../src/engine/testing/doubles/fake-clock.ts";

const bar = (isTty: boolean, total: number | null) => {
  const lines: string[] = [];
  const clock = new FakeClock(0);
  const made = progress(
    { isTty, err: (line, again) => void lines.push(again === true ? `^${line}` : line) },
    clock,
    {
      done: "sent",
      total,
    },
  );
  return { lines, clock, made };
};

test("away from a terminal there is a plain line every five seconds and one at the end", async () => {
  const { lines, clock, made } = bar(false, 1_000);
  for (let i = 0; i < 10; i++) {
    await clock.advance(1_000);
    made.add(100);
  }
  made.end();
  assert.deepEqual(lines, [
    "500 of 1,000 records sent (50 %), 100/s, 5 s left",
    "1,000 of 1,000 records sent (100 %), 100/s, 0 s left",
    "1,000 records sent in 10 s, 100/s",
  ]);
});

test("on a terminal the line is drawn again in its place", async () => {
  const { lines, clock, made } = bar(true, null);
  for (let i = 0; i < 3; i++) {
    await clock.advance(200);
    made.add(10);
  }
  made.end();
  assert.deepEqual(lines, [
    "10 records sent, 50/s",
    "^20 records sent, 50/s",
    "^30 records sent, 50/s",
    "^30 records sent in 0.6 s, 50/s",
  ]);
});

test("nothing divides by zero", () => {
  const at = { done: "sent", total: 0, count: 0, elapsedMs: 0, isLast: false };
  assert.equal(progressLine(at), "0 records sent, 0/s");
  assert.equal(progressLine({ ...at, total: 10 }), "0 of 10 records sent (0 %), 0/s");
});

test("spans and numbers are written as people say them", () => {
  assert.deepEqual([0, 0.44, 9.96, 12.4, 200, 7_500].map(spanText), [
    "0 s",
    "0.4 s",
    "10 s",
    "12 s",
    "3 min 20 s",
    "2 h 5 min",
  ]);
  assert.equal(grouped(1_234_567.8), "1,234,568");
});

test("columns are as wide as their widest cell", () => {
  const rows = [
    ["A", "LONGER", "C"],
    ["longest", "b", ""],
  ];
  assert.deepEqual(tableLines(rows), ["A        LONGER  C", "longest  b"]);
});
