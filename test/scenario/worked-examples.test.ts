// Both worked examples of the rules of time, to the last number, also as a bounded run.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";

interface Fed {
  readonly at: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const since = (ms: number): number => (ms - BEGIN) / 1_000;
const fed = (name: string, partitions: number) =>
  topic(name, {
    ...{ key: string, value: json<Fed>(), partitions, owner: "tests" },
    timestamp: (one) => one.at,
  });
const views = fed("views", 2);
const rows = topic("rows", { key: string, value: json<unknown>(), partitions: 1, owner: "tests" });

/** A window with the times of its records. */
const example1 = pipeline("shops", ({ from }) => {
  const shops = from(views)
    .groupBy("by-shop", () => "s", { partitions: 1 })
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
    .aggregate("times", {
      ...{ value: json<readonly number[]>(), init: () => [] as readonly number[] },
      add: (times, { at }) => [...times, since(at)].sort((a, b) => a - b),
      emit: "close",
    })
    .toStream("row", (times) => times);
  shops.to(rows);
});

const at = (partition: number, second: number): SimulatedStep =>
  send(views, "k", { at: BEGIN + second * 1_000 }, { partition });
const p0 = [1, 8, 13, 9, 25].map((second) => at(0, second));
const p1 = [3, 11, 7, 24].map((second) => at(1, second));
const schedules: readonly (readonly SimulatedStep[])[] = [
  [...p0, ...p1],
  [...p1, ...p0],
  [...p0.slice(0, 3), ...p1.slice(0, 3), crash, ...p0.slice(3), rebalance, ...p1.slice(3)],
];

for (const [i, steps] of schedules.entries()) {
  test(`example 1, schedule ${String(i + 1)}: W is 24, [0,10) has 1 3 7 8 at 9, [10,20) has 11 13 at 19, and 9 is late`, async () => {
    const { records, ledger } = await simulate(example1, steps);
    assert.deepEqual(
      records(rows).map(({ value, timestamp }) => [value, since(timestamp)]),
      [
        [[1, 3, 7, 8], 9.999],
        [[11, 13], 19.999],
      ],
    );
    assert.deepEqual(ledger("by-shop"), { consumed: 9, emitted: 8, late: 1 });
  });

  test(`example 1, schedule ${String(i + 1)}: a bounded run also has [20,30) with 24 25`, async () => {
    const { records } = await simulate(example1, steps, { end: "close" });
    assert.deepEqual(
      records(rows).map(({ value, timestamp }) => [value, since(timestamp)]),
      [
        [[1, 3, 7, 8], 9.999],
        [[11, 13], 19.999],
        [[24, 25], 29.999],
      ],
    );
  });
}

const [orders, payments] = [fed("orders", 1), fed("payments", 1)];
const example2 = pipeline("paid", ({ from }) => {
  const pairs = from(orders).leftJoin(
    "pairs",
    from(payments),
    (left, right) => [since(left.at), right && since(right.at)],
    {
      ...{ before: seconds(0), after: seconds(5), grace: seconds(1) },
    },
  );
  pairs.to(rows);
  pairs
    .rekey("one", () => "all")
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
    .aggregate("times", {
      ...{ value: json<readonly number[]>(), init: () => [] as readonly number[] },
      add: (times, _pair, { timestamp }) => [...times, since(timestamp)].sort((a, b) => a - b),
      emit: "close",
    })
    .toStream("row", (times) => ({ times }))
    .to(rows);
});
const order = (key: string, second: number) => send(orders, key, { at: BEGIN + second * 1_000 });
const payment = (key: string, second: number) =>
  send(payments, key, { at: BEGIN + second * 1_000 });
const fedOrders = [order("a", 2), order("b", 4), order("a", 20), order("b", 18)];
const fedPayments = [payment("a", 6), payment("b", 12), payment("c", 30)];

for (const end of ["keep", "close"] as const)
  test(`example 2 ${end === "close" ? "as a bounded run" : "live"}: pairs, records alone, and the windows behind them`, async () => {
    const pairs = [
      [[2, 6], 6],
      [[4, null], 4],
    ];
    const windows: unknown[] = [[{ times: [4, 6] }, 9.999]];
    const last = [[[20, null], 20]];
    for (const steps of [
      [...fedOrders, ...fedPayments],
      [...fedPayments, crash, ...fedOrders],
    ]) {
      const { records, ledger } = await simulate(example2, steps, { end });
      const found = records(rows).map(({ value, timestamp }) => [value, since(timestamp)]);
      const want =
        end === "keep"
          ? [...pairs, ...windows]
          : [...pairs, ...windows, ...last, [{ times: [20] }, 29.999]];
      assert.deepEqual(sorted(found), sorted(want));
      assert.deepEqual(ledger("main"), { consumed: 7, emitted: 6, late: 1 });
    }
  });

const sorted = (all: readonly unknown[]): string[] => all.map((one) => JSON.stringify(one)).sort();
