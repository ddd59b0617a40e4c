// suppress through the whole engine: one change of a key and span, when its time has come, whoever dies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, records, seconds, string, topic, tumbling } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { ConfigErrors } from "../../src/engine/core/errors.ts";

interface Sale {
  readonly at: number;
  readonly n: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const sales = topic("sales", {
  ...{ key: string, value: json<Sale>(), partitions: 1, owner: "tests" },
  timestamp: (one) => one.at,
});
const totals = topic("totals", {
  key: string,
  value: json<number>(),
  partitions: 1,
  owner: "tests",
});
const sale = (second: number, key = "k", n = 1): SimulatedStep =>
  send(sales, key, { at: BEGIN + second * 1_000, n });
const since = (ms: number): number => (ms - BEGIN) / 1_000;

const summing = (recordsMax = 100, whenFull: "emit" | "halt" = "halt") =>
  pipeline("summing", ({ from }) => {
    from(sales)
      .groupByKey()
      .sum("sums", (one) => one.n)
      .suppress("calm", { for: seconds(10), recordsMax: records(recordsMax), whenFull })
      .to(totals);
  });
const rowsOf = async (steps: readonly SimulatedStep[], flow = summing()) =>
  (await simulate(flow, steps))
    .records(totals)
    .map(({ key, value, timestamp }) => [key, value, since(timestamp)]);

for (const [second, isOut] of [
  [10.999, false],
  [11, true],
  [11.001, true],
] as const)
  test(`a change of 1 s with a span of 10 s is ${isOut ? "out" : "kept"} at ${String(second)} s`, async () => {
    for (const between of [[], [crash], [rebalance]]) {
      const rows = await rowsOf([sale(1), ...between, sale(second, "x")]);
      assert.deepEqual(rows, isOut ? [["k", 1, 1]] : []);
    }
  });

test("the first change opens the span, and the last one goes on with its own time", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    const steps = [sale(1), ...between, sale(5), sale(10, "k", 3), ...between, sale(12, "x")];
    assert.deepEqual(await rowsOf(steps), [["k", 5, 10]]);
  }
});

test("the next change opens a span anew", async () => {
  const steps = [sale(1), sale(11), sale(13), crash, sale(40, "x")];
  assert.deepEqual(await rowsOf(steps), [
    ["k", 1, 1],
    ["k", 3, 13],
  ]);
});

test("keys go on in the order of their spans' ends", async () => {
  const steps = [sale(3, "c"), sale(2, "b"), sale(2, "a"), sale(40, "x")];
  assert.deepEqual(await rowsOf(steps), [
    ["a", 1, 2],
    ["b", 1, 2],
    ["c", 1, 3],
  ]);
});

test("of one key more than there is room for the oldest goes on at once, as in Kafka Streams, or the task stops", async () => {
  const steps = [sale(1, "a"), sale(2, "b"), sale(3, "c"), sale(4, "a"), crash, sale(40, "x")];
  for (const at of [1, 2, 3, 4]) {
    const done = await simulate(summing(2, "emit"), steps.toSpliced(at, 0, crash));
    const rows = done.records(totals).map((row) => [row.key, row.value, since(row.timestamp)]);
    assert.deepEqual(rows, [
      ["a", 1, 1],
      ["b", 1, 2],
      ["c", 1, 3],
      ["a", 2, 4],
    ]);
    assert.deepEqual(done.ledger("main"), { consumed: 5, emitted: 5, evicted: 2 });
  }
  const run = await simulate(summing(2), steps, { stops: "expected" });
  assert.deepEqual(
    run.stops.map(({ code }) => code),
    ["MILL_SUPPRESS_FULL"],
  );
  assert.deepEqual(run.ledger("main"), { consumed: 2, emitted: 2 });
});

test("the key that comes goes on itself where its span is the oldest, and one that fails makes no room", async () => {
  const steps = [sale(11, "a"), sale(12, "b"), sale(3, "c"), sale(13, "a"), sale(60, "x")];
  assert.deepEqual(await rowsOf(steps, summing(2, "emit")), [
    ["c", 1, 3],
    ["a", 2, 13],
    ["b", 1, 12],
  ]);
  const refusing = pipeline("summing", { haltWhen: "never" }, ({ from }) => {
    from(sales)
      .groupByKey()
      .sum("sums", (one) => one.n)
      .suppress("calm", { for: seconds(10), recordsMax: records(2), whenFull: "emit" })
      .toStream()
      .map("checked", (sum) => {
        if (sum === 7) throw new Error("refused");
        return sum;
      })
      .to(totals);
  });
  // The oldest cannot go on, so neither can what would put it out.
  const failing = [
    sale(1, "a", 7),
    sale(2, "b"),
    sale(3, "c"),
    sale(4, "d"),
    sale(5, "a"),
    sale(6, "e"),
  ];
  const done = await simulate(refusing, [...failing, sale(60, "x")]);
  assert.deepEqual(done.ledger("main"), {
    consumed: 7,
    emitted: 5,
    "dead-lettered": 2,
    evicted: 1,
  });
});

test("what has gone on makes room, in this batch and after a crash", async () => {
  const steps = [sale(1, "a"), sale(2, "b"), sale(11, "c"), crash, sale(12, "d"), sale(40, "x")];
  const rows = await rowsOf(steps, summing(2));
  assert.deepEqual(
    rows.map(([key]) => key),
    ["a", "b", "c", "d"],
  );
});

test("a deleted key waits as well, and is a tombstone then", async () => {
  const flow = pipeline("deleting", ({ from }) => {
    from(sales)
      .groupByKey()
      .sum("sums", (one) => one.n)
      .filter("large", (sum) => sum > 1)
      .suppress("calm", { for: seconds(10), recordsMax: records(9), whenFull: "halt" })
      .to(totals);
  });
  assert.deepEqual(await rowsOf([sale(1), sale(2, "j", 5), sale(40, "x")], flow), [
    ["k", null, 1],
    ["j", 5, 2],
  ]);
});

test("a window behind it waits for what is kept", async () => {
  const flow = pipeline("behind", ({ from }) => {
    from(sales)
      .groupByKey()
      .sum("sums", (one) => one.n)
      .suppress("calm", { for: seconds(10), recordsMax: records(9), whenFull: "halt" })
      .toStream()
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(5), grace: seconds(0) }))
      .sum("windows", (sum) => sum, { emit: "close" })
      .toStream("row", (sum) => sum)
      .to(totals);
  });
  assert.deepEqual(await rowsOf([sale(1), sale(4), sale(14.9, "x")], flow), []);
  for (const between of [[], [crash]])
    assert.deepEqual(await rowsOf([sale(1), sale(4), ...between, sale(15, "x")], flow), [
      ["k", 2, 4.999],
    ]);
});

test("a suppress that cannot work is refused when the pipeline is built", () => {
  for (const options of [
    { recordsMax: records(1), whenFull: "halt" },
    { for: seconds(1), whenFull: "halt" },
    { for: seconds(1), recordsMax: records(1), whenFull: "drop" },
    { for: seconds(0), recordsMax: records(0), whenFull: "emit" },
  ])
    assert.throws(() => {
      pipeline("p", ({ from }) => {
        const sums = from(sales).groupByKey().count("n");
        sums.suppress("calm", options as never).to(totals);
      }).plan();
    }, ConfigErrors);
});
