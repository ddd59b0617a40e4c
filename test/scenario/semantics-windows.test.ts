// Edges of windows that no other test has: the first ones of all time, the order in which they come, what a checkpoint keeps
// (docs/semantics.md).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  hopping,
  json,
  milliseconds,
  pipeline,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type WindowOf,
} from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";

const own = { partitions: 1, owner: "tests" };
/** Times are those of Kafka, from the epoch on. */
const views = topic("views", { key: string, value: json<number>(), ...own });
const rows = topic("rows", { key: string, value: json<string>(), ...own });
const at = (ms: number, key = "k"): SimulatedStep => send(views, key, ms, { at: ms });
const grace = seconds(0);
type Emit = "update" | "checkpoint" | "close";

const counting = (window: WindowOf, emit: Emit = "close") =>
  pipeline("counting", ({ from }) => {
    from(views)
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit })
      .toStream(
        "row",
        (n, { start, end }) => `${String(Number(start))} ${String(Number(end))}: ${String(n)}`,
      )
      .to(rows);
  });
const rowsOf = async (window: WindowOf, steps: readonly SimulatedStep[], emit: Emit = "close") => {
  const { records, deadLetters } = await simulate(counting(window, emit), steps, { end: "close" });
  assert.deepEqual(deadLetters, []);
  return records(rows).map(({ value }) => value);
};

for (const emit of ["close", "update"] as const) {
  test(`starts: hopping windows on ${emit}: none begins before the epoch`, async () => {
    const window = hopping({ size: milliseconds(10), advance: milliseconds(4), grace });
    const found = await rowsOf(window, [at(1), at(9)], emit);
    assert.deepEqual(found, [
      ...(emit === "close"
        ? ["0 10: 2", "4 14: 1", "8 18: 1"]
        : ["0 10: 1", "0 10: 2", "4 14: 1", "8 18: 1"]),
    ]);
  });
}

test("starts: tumbling windows are aligned to the epoch, and the first one begins there", async () => {
  const window = tumbling({ size: milliseconds(10), grace });
  assert.deepEqual(await rowsOf(window, [at(0), at(9), at(10), at(29)]), [
    ...["0 10: 2", "10 20: 1", "20 30: 1"],
  ]);
});

test("starts: sliding windows of the first of all time share [0, difference]", async () => {
  const window = sliding({ difference: milliseconds(10), grace });
  assert.deepEqual(await rowsOf(window, [at(2), at(4), at(10)]), [
    ...["0 10: 3", "3 13: 2", "5 15: 1"],
  ]);
});

test("starts: a session of the first of all time begins with its record", async () => {
  const window = session({ gap: milliseconds(10), grace });
  assert.deepEqual(await rowsOf(window, [at(0), at(3), at(14)]), ["0 3: 2", "14 14: 1"]);
});

for (const [unit, timeZone, endMs] of [
  ["hour", "UTC", 3_600_000],
  ["day", "America/New_York", 5 * 3_600_000],
  ["week", "UTC", 4 * 86_400_000],
  ["month", "Europe/Berlin", 31 * 86_400_000 - 3_600_000],
] as const)
  for (const emit of ["close", "update"] as const)
    test(`starts: the ${unit} of ${timeZone} that has the epoch in it begins there, on ${emit}`, async () => {
      const found = await rowsOf(calendar({ unit, timeZone, grace }), [at(1), crash, at(0)], emit);
      assert.equal(found.at(-1), `0 ${String(endMs)}: 2`);
    });

test("starts: a join finds partners of the first of all time", async () => {
  const others = topic("others", { key: string, value: json<number>(), ...own });
  const flow = pipeline("joining", ({ from }) => {
    from(views)
      .outerJoin("pairs", from(others), (a, b) => `${String(a)} ${String(b)}`, {
        ...{ before: milliseconds(5), after: milliseconds(7), grace: milliseconds(1) },
      })
      .to(rows);
  });
  const other = (ms: number) => send(others, "k", ms, { at: ms });
  const steps = [at(0), other(5), at(4), at(1_000), other(1_000), at(2_000), other(3_000)];
  const { records } = await simulate(flow, steps, { end: "close" });
  assert.deepEqual(
    records(rows).map(({ value }) => value),
    ["0 5", "4 5", "1000 1000", "2000 null", "null 3000"],
  );
});

test("emission on close: the oldest windows come first, of one end by their keys, each once, whoever dies", async () => {
  const window = tumbling({ size: milliseconds(10), grace });
  const flow = pipeline("counting", ({ from }) => {
    from(views)
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", (n, { key, start }) => `${key} ${String(Number(start))}: ${String(n)}`)
      .to(rows);
  });
  const fed = [at(1, "c"), at(2, "a"), at(3, "b"), at(15, "c"), at(16, "a")];
  for (const between of [[], [crash], [rebalance], [crash, rebalance, crash]])
    for (const emptied of [false, true]) {
      const steps = [...fed.slice(0, emptied ? 3 : 5), ...between, ...fed.slice(emptied ? 3 : 5)];
      const { records } = await simulate(flow, [...steps, at(500, "x"), ...between, at(900, "x")]);
      assert.deepEqual(
        records(rows).map(({ value }) => value),
        ["a 0: 1", "b 0: 1", "c 0: 1", "a 10: 1", "c 10: 1", "x 500: 1"],
      );
    }
});

test("emission by checkpoint: the last change of a window is never left out, whoever dies", async () => {
  for (const between of [[], [crash], [rebalance], [crash, crash]]) {
    const steps = [at(1), at(2), ...between, at(3), at(4), ...between, at(5)];
    const found = await rowsOf(tumbling({ size: seconds(10), grace }), steps, "checkpoint");
    assert.equal(found.at(-1), "0 10000: 5");
    assert.deepEqual([...found].sort(), found, "no result is older than the one before");
  }
});
