// Tumbling and hopping windows through the whole engine: what they count, when they close, what is late.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hopping,
  json,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type WindowOf,
  type WindowOptions,
} from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";

interface View {
  readonly at: number;
  readonly shop?: string;
}
interface Row {
  readonly from: number;
  readonly to: number;
  readonly views: number;
}

/** An hour's start: times of a test count from here, in seconds. */
const BEGIN = Date.UTC(2025, 5, 1);
const at = (second: number): number => BEGIN + second * 1_000;
const since = (date: Date | number): number => (Number(date) - BEGIN) / 1_000;

const input = (partitions = 1) =>
  topic("views", {
    ...{ key: string, value: json<View>(), partitions, owner: "tests" },
    timestamp: (view) => view.at,
  });
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const lates = topic("lates", { key: string, value: json<View>(), partitions: 1, owner: "tests" });

const toRow = (views: number | null, { start, end }: { start: Date; end: Date }): Row => ({
  ...{ from: since(start), to: since(end), views: views ?? 0 },
});

const counting = (window: WindowOf, options: WindowOptions, partitions = 1) =>
  pipeline("counting", ({ from }) => {
    const counts = from(input(partitions))
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", options);
    counts.toStream("row", toRow).to(rows);
  });
/** The same, with what is late in a topic of its own. */
const keepingLate = (window: WindowOf) =>
  pipeline("counting", ({ from }) => {
    const counts = from(input())
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close" });
    counts.toStream("row", toRow).to(rows);
    counts.late.to(lates);
  });

const view = (second: number, key = "k"): SimulatedStep => send(input(), key, { at: at(second) });
const close = { emit: "close" } as const;
const tens = tumbling({ size: seconds(10), grace: seconds(2) });

const shown = ({ key, value, timestamp }: { key: string; value: Row | null; timestamp: number }) =>
  `${key} [${String(value?.from)},${String(value?.to)}) ${String(value?.views)} at ${String(since(timestamp))}`;

test("a window is emitted once, when it closes, with the last ms of its window for a time", async () => {
  const { records, ledger } = await simulate(
    counting(tens, close),
    [1, 3, 9.999, 10, 11.999, 12].map((second) => view(second)),
  );
  assert.deepEqual(records(rows).map(shown), ["k [0,10) 3 at 9.999"]);
  assert.deepEqual(ledger("main"), { consumed: 6, emitted: 6 });
});

for (const [now, isTaken] of [
  [11.999, true],
  [12, false],
  [12.001, false],
] as const)
  test(`W4: a record of [0,10) with a grace of 2 s is ${isTaken ? "taken" : "late"} when its source is at ${String(now)} s`, async () => {
    const { records, ledger } = await simulate(counting(tens, close), [
      ...[view(1), view(now), view(9), view(40)],
    ]);
    const [first] = records(rows);
    assert.equal(first?.value?.views, isTaken ? 2 : 1);
    assert.deepEqual(
      ledger("main"),
      isTaken ? { consumed: 4, emitted: 4 } : { consumed: 4, emitted: 3, late: 1 },
    );
  });

test("late records are a stream of their own", async () => {
  const { records, ledger } = await simulate(keepingLate(tens), [
    view(1),
    view(40),
    view(2),
    view(41),
  ]);
  assert.deepEqual(
    records(lates).map(({ value }) => since(value?.at ?? 0)),
    [2],
  );
  assert.deepEqual(records(rows).map(shown), ["k [0,10) 1 at 9.999"]);
  assert.deepEqual(ledger("main"), { consumed: 4, emitted: 4 });
});

test("hopping windows overlap; a record may be late for one and on time for another", async () => {
  const window = hopping({ size: seconds(10), advance: seconds(5), grace: seconds(0) });
  const steps = [view(1), view(7), view(10), view(6), view(40)];
  const { records, ledger } = await simulate(counting(window, close), steps);
  assert.deepEqual(records(rows).map(shown), [
    "k [-5,5) 1 at 4.999",
    "k [0,10) 2 at 9.999",
    "k [5,15) 3 at 14.999",
    "k [10,20) 1 at 19.999",
  ]);
  assert.deepEqual(ledger("main"), { consumed: 5, emitted: 5 });
});

test("emission on update tells each change, per checkpoint the last one", async () => {
  const steps = [view(1), view(3), view(2), view(11)];
  const each = await simulate(counting(tens, {}), steps);
  assert.deepEqual(each.records(rows).map(shown), [
    "k [0,10) 1 at 1",
    "k [0,10) 2 at 3",
    "k [0,10) 3 at 3",
    "k [10,20) 1 at 11",
  ]);
  const last = await simulate(counting(tens, { emit: "checkpoint" }), steps);
  assert.deepEqual(last.records(rows).map(shown), ["k [0,10) 3 at 3", "k [10,20) 1 at 11"]);
});

/** Example 1 of the rules of time: two partitions, re-keyed to the shop, one internal partition. */
test("a window behind a repartition topic is the same in every schedule (S3, W1, W4, M3)", async () => {
  const source = input(2);
  const flow = pipeline("shops", ({ from }) => {
    from(source)
      .groupBy("by-shop", ({ shop = "s" }) => shop, { partitions: 1 })
      .windowedBy(tens)
      .count("views-by-shop", close)
      .toStream("row", toRow)
      .to(rows);
  });
  const order = [
    ...[1, 8, 13, 9, 25].map((second) => [0, second] as const),
    ...[3, 11, 7, 24].map((second) => [1, second] as const),
  ];
  for (let seed = 1; seed <= 12; seed++) {
    const random = seededRandom(seed);
    const left = [order.filter(([p]) => p === 0), order.filter(([p]) => p === 1)];
    const steps: SimulatedStep[] = [];
    while (left.some((one) => one.length > 0)) {
      const one = left[Math.floor(random.next() * 2)] ?? [];
      const next = one.shift();
      if (next === undefined) continue;
      steps.push(send(source, "k", { at: at(next[1]) }, { partition: next[0] }));
      if (random.next() < 0.2) steps.push(random.next() < 0.5 ? crash : rebalance);
    }
    const { records, ledger } = await simulate(flow, steps);
    assert.deepEqual(
      records(rows).map(shown),
      ["s [0,10) 4 at 9.999", "s [10,20) 2 at 19.999"],
      `seed ${String(seed)}`,
    );
    assert.deepEqual(ledger("by-shop"), { consumed: 9, emitted: 8, late: 1 });
  }
});

test("with results by checkpoint, what is late gets none of them", async () => {
  const flow = pipeline("counting", ({ from }) => {
    const counts = from(input())
      .groupByKey()
      .windowedBy(tens)
      .count("views", { emit: "checkpoint" });
    counts.toStream("row", toRow).to(rows);
    counts.late.to(lates);
  });
  const { records } = await simulate(flow, [view(1), view(40), view(2)]);
  assert.deepEqual(
    records(lates).map(({ value }) => since(value?.at ?? 0)),
    [2],
  );
  assert.deepEqual(records(rows).map(shown), ["k [0,10) 1 at 1", "k [40,50) 1 at 40"]);
});
