// Sliding windows through the whole engine: what they hold, when they close, what is late.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decimal,
  json,
  pipeline,
  seconds,
  sliding,
  string,
  topic,
  type WindowOptions,
} from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";

interface Payment {
  readonly at: number;
  readonly amount?: string;
  readonly card?: string;
}
interface Row {
  readonly from: number;
  readonly to: number;
  readonly of: string;
}
const BEGIN = Date.UTC(2025, 5, 1);
const input = (partitions = 1) =>
  topic("payments", {
    ...{ key: string, value: json<Payment>(), partitions, owner: "tests" },
    timestamp: (payment) => payment.at,
  });
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const lates = topic("lates", {
  key: string,
  value: json<Payment>(),
  partitions: 1,
  owner: "tests",
});

const since = (date: Date | number): number => (Number(date) - BEGIN) / 1_000;
const toRow = (of: unknown, { start, end }: { start: Date; end: Date }): Row => ({
  ...{ from: since(start), to: since(end), of: String(of) },
});
const window = sliding({ difference: seconds(10), grace: seconds(2) });
const counting = (options: WindowOptions) =>
  pipeline("counting", ({ from }) => {
    const counts = from(input()).groupByKey().windowedBy(window).count("payments-near", options);
    counts.toStream("row", toRow).to(rows);
    counts.late.to(lates);
  });
const pay = (second: number, more: Partial<Payment> = {}): SimulatedStep =>
  send(input(), "k", { at: BEGIN + second * 1_000, ...more });
const shown = ({ key, value, timestamp }: { key: string; value: Row | null; timestamp: number }) =>
  `${key} [${String(value?.from)},${String(value?.to)}] ${value?.of ?? ""} at ${String(since(timestamp))}`;
const close = { emit: "close" } as const;

test("a window ends with each record, and one begins behind it; each is emitted once, at its end", async () => {
  const steps = [pay(1), pay(4), pay(4), crash, pay(11), pay(60)];
  const { records, ledger } = await simulate(counting(close), steps);
  assert.deepEqual(records(rows).map(shown), [
    "k [-9,1] 1 at 1",
    "k [-6,4] 3 at 4",
    "k [1,11] 4 at 11",
    "k [1.001,11.001] 3 at 11.001",
    "k [4.001,14.001] 1 at 14.001",
  ]);
  assert.deepEqual(ledger("main"), { consumed: 5, emitted: 5 });
});

for (const [now, isOwn] of [
  [10.999, true],
  [11, true],
  [11.001, false],
] as const)
  test(`a record whose window ends at 9 s, with a grace of 2 s, is ${isOwn ? "on time for" : "late for"} it when its source is at ${String(now)} s`, async () => {
    const { records } = await simulate(counting(close), [pay(now), pay(9), pay(60)]);
    const found = records(rows).map(shown);
    assert.equal(found.includes("k [-1,9] 1 at 9"), isOwn);
    // The window that ends with the other record, and the one behind 9 s, are open for it still.
    assert.ok(
      found.includes(
        `k [${String((now * 1000 - 10_000) / 1000)},${String(now)}] 2 at ${String(now)}`,
      ),
    );
    assert.equal(records(lates).length, isOwn ? 0 : 1);
  });

for (const [now, isTaken] of [
  [20.999, true],
  [21, true],
  [21.001, false],
] as const)
  test(`a record of 9 s is ${isTaken ? "taken by a window" : "late for all windows"} when its source is at ${String(now)} s`, async () => {
    const { ledger } = await simulate(counting(close), [pay(now), pay(9), pay(60)]);
    // What is late goes to a topic: that is an effect too.
    assert.deepEqual(ledger("main"), { consumed: 3, emitted: 3 });
    const counted = pipeline("counting", ({ from }) => {
      const counts = from(input()).groupByKey().windowedBy(window).count("payments-near", close);
      counts.toStream("row", toRow).to(rows);
    });
    const { ledger: own } = await simulate(counted, [pay(now), pay(9), pay(60)]);
    assert.equal(own("main")["late"], isTaken ? undefined : 1);
  });

test("a window closes once time has passed its end by more than the grace", async () => {
  const closedAt = async (second: number) =>
    (await simulate(counting(close), [pay(1), pay(second)])).records(rows).length;
  assert.equal(await closedAt(2.999), 0);
  assert.equal(await closedAt(3), 0);
  assert.equal(await closedAt(3.001), 1);
});

test("on update each window that a record makes or changes is emitted, per checkpoint the last of each", async () => {
  const steps = [pay(1), pay(4), pay(3)];
  const each = await simulate(counting({}), steps);
  assert.deepEqual(each.records(rows).map(shown), [
    "k [-9,1] 1 at 1",
    "k [-6,4] 2 at 4",
    "k [1.001,11.001] 1 at 4",
    "k [-7,3] 2 at 3",
    "k [-6,4] 3 at 4",
    "k [1.001,11.001] 2 at 4",
    "k [3.001,13.001] 1 at 4",
  ]);
  const last = await simulate(counting({ emit: "checkpoint" }), steps);
  assert.deepEqual(last.records(rows).map(shown).sort(), [
    "k [-6,4] 3 at 4",
    "k [-7,3] 2 at 3",
    "k [-9,1] 1 at 1",
    "k [1.001,11.001] 2 at 4",
    "k [3.001,13.001] 1 at 4",
  ]);
});

test("money adds up exactly, and what a user folds is merged in the order of time", async () => {
  const flow = pipeline("spending", ({ from }) => {
    const near = from(input()).groupByKey().windowedBy(window);
    near
      .sum("spend", ({ amount = "0" }) => decimal(amount), close)
      .toStream("row", toRow)
      .to(rows);
    near
      .aggregate("amounts", {
        value: json<string>(),
        init: () => "",
        add: (text, { amount }) => `${text}${amount ?? ""};`,
        merge: (a, b) => a + b,
        emit: "close",
      })
      .toStream("amounts-row", toRow)
      .to(rows);
  });
  const steps = [pay(2, { amount: "0.2" }), pay(1, { amount: "0.1" }), rebalance, pay(60)];
  const { records } = await simulate(flow, steps);
  const found = records(rows).map(shown);
  assert.ok(found.includes("k [-8,2] 0.3 at 2"));
  assert.ok(found.includes("k [-8,2] 0.1;0.2; at 2"));
});

test("an aggregate that cannot be merged is refused when the pipeline is built", () => {
  const flow = pipeline("spending", ({ from }) => {
    from(input())
      .groupByKey()
      .windowedBy(window)
      .aggregate("amounts", { value: json<number>(), init: () => 0, add: (n) => n + 1 })
      .toStream("row", toRow)
      .to(rows);
  });
  assert.throws(
    () => flow.plan(),
    (error: unknown) => {
      const problems = error instanceof ConfigErrors ? error.problems : [];
      assert.deepEqual(
        problems.map(({ code }) => code),
        ["MILL_BUILD_OPTION"],
      );
      assert.match(String(problems[0]?.message), /aggregate of sliding windows needs `merge`/);
      return true;
    },
  );
});

test("windows behind a new key are the same in every schedule", async () => {
  const source = input(2);
  const flow = pipeline("cards", ({ from }) => {
    from(source)
      .groupBy("by-card", ({ card = "c" }) => card, { partitions: 1 })
      .windowedBy(window)
      .count("payments-near", close)
      .toStream("row", toRow)
      .to(rows);
  });
  const times = [
    [1, 8, 13, 9, 40],
    [3, 11, 7, 39],
  ];
  const answers = new Set<string>();
  for (let seed = 1; seed <= 10; seed++) {
    const random = seededRandom(seed);
    const left = times.map((list) => [...list]);
    const steps: SimulatedStep[] = [];
    while (left.some((list) => list.length > 0)) {
      const partition = Math.floor(random.next() * 2);
      const second = left[partition]?.shift();
      if (second === undefined) continue;
      steps.push(send(source, "k", { at: BEGIN + second * 1_000 }, { partition }));
      if (random.next() < 0.2) steps.push(random.next() < 0.5 ? crash : rebalance);
    }
    const { records } = await simulate(flow, steps);
    answers.add(records(rows).map(shown).join("\n"));
  }
  assert.equal(answers.size, 1);
  assert.match([...answers].join(), /c \[-2,8\] 3 at 8/);
});
