// Count windows through the whole engine: so many records of a key, closed by the one that fills them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countWindow, json, pipeline, records, seconds, string, topic } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { ConfigErrors } from "../../src/engine/core/errors.ts";

interface Reading {
  readonly at: number;
  readonly n: number;
}
interface Row {
  readonly from: number;
  readonly to: number;
  readonly sum: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const readings = topic("readings", {
  ...{ key: string, value: json<Reading>(), partitions: 1, owner: "tests" },
  timestamp: (one) => one.at,
});
const sums = topic("sums", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const since = (ms: Date | number): number => (Number(ms) - BEGIN) / 1_000;
const reading = (second: number, key = "k", n = second): SimulatedStep =>
  send(readings, key, { at: BEGIN + second * 1_000, n });

const summing = (size: number, emit: "update" | "close" | "checkpoint" = "close") =>
  pipeline("summing", ({ from }) => {
    from(readings)
      .groupByKey()
      .windowedBy(countWindow({ size: records(size) }))
      .sum("windows", (one) => one.n, { emit })
      .toStream("row", (sum, { start, end }) => ({ from: since(start), to: since(end), sum }))
      .to(sums);
  });
const rowsOf = async (steps: readonly SimulatedStep[], flow = summing(3)) =>
  (await simulate(flow, steps))
    .records(sums)
    .map(({ key, value, timestamp }) => [
      `${key} [${String(value?.from)},${String(value?.to)}] ${String(value?.sum)}`,
      since(timestamp),
    ]);

for (const [count, closed] of [
  [2, 0],
  [3, 1],
  [4, 1],
  [6, 2],
] as const)
  test(`of ${String(count)} records, ${String(closed)} windows of three are full`, async () => {
    const steps = Array.from({ length: count }, (_, i) => reading(i));
    assert.equal((await rowsOf(steps)).length, closed);
  });

test("a window has the times of its records, and is closed by the one that fills it, whoever dies", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    const steps = [reading(2), reading(1), reading(1, "j"), ...between, reading(5), reading(7)];
    assert.deepEqual(await rowsOf(steps), [["k [1,5] 8", 5]]);
  }
});

test("a window whose newest record did not come last has that one's time", async () => {
  assert.deepEqual(await rowsOf([reading(9), reading(2), reading(4)]), [["k [2,9] 15", 9]]);
});

test("each change is emitted where that is asked for, the full window once", async () => {
  const steps = [reading(1), reading(2), crash, reading(3), reading(4)];
  assert.deepEqual(await rowsOf(steps, summing(3, "update")), [
    ["k [1,1] 1", 1],
    ["k [1,2] 3", 2],
    ["k [1,3] 6", 3],
    ["k [4,4] 4", 4],
  ]);
});

test("a window of one record is each record", async () => {
  assert.deepEqual(await rowsOf([reading(1), reading(1)], summing(1)), [
    ["k [1,1] 1", 1],
    ["k [1,1] 1", 1],
  ]);
});

test("a count window that cannot work is refused", () => {
  for (const size of [records(0), records(1.5), seconds(1), undefined])
    assert.throws(() => countWindow({ size: size as never }), /MILL_BUILD_OPTION|needs size/);
  assert.throws(() => summing(3, "checkpoint").plan(), ConfigErrors);
});
