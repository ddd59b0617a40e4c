// Sessions through the whole engine: what they join, when they close, what is late.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal, json, pipeline, seconds, session, string, topic } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";

interface Line {
  readonly at: number;
  readonly amount?: string;
  readonly card?: string;
}
interface Basket {
  readonly from: number;
  readonly to: number;
  readonly of: string;
}
const BEGIN = Date.UTC(2025, 5, 1);
const input = (partitions = 1) =>
  topic("lines", {
    ...{ key: string, value: json<Line>(), partitions, owner: "tests" },
    timestamp: (line) => line.at,
  });
const baskets = topic("baskets", {
  ...{ key: string, value: json<Basket>(), partitions: 1, owner: "tests" },
});
const lates = topic("lates", { key: string, value: json<Line>(), partitions: 1, owner: "tests" });

const since = (date: Date | number): number => (Number(date) - BEGIN) / 1_000;
const toBasket = (of: unknown, { start, end }: { start: Date; end: Date }): Basket => ({
  ...{ from: since(start), to: since(end), of: String(of) },
});
const close = { emit: "close" } as const;
const window = session({ gap: seconds(10), grace: seconds(4) });
const counting = (keepsLate = false) =>
  pipeline("counting", ({ from }) => {
    const counts = from(input()).groupByKey().windowedBy(window).count("lines", close);
    counts.toStream("basket", toBasket).to(baskets);
    if (keepsLate) counts.late.to(lates);
  });
const line = (second: number, more: Partial<Line> = {}): SimulatedStep =>
  send(input(), "k", { at: BEGIN + second * 1_000, ...more });
const shown = (row: { key: string; value: Basket | null; timestamp: number }) =>
  `${row.key} [${String(row.value?.from)},${String(row.value?.to)}] ${row.value?.of ?? ""} at ${String(since(row.timestamp))}`;

test("records at most the gap apart are one session; a record between two of them joins them", async () => {
  const steps = [line(0), line(10), line(20.001), crash, line(31), line(27), line(90)];
  const { records, ledger } = await simulate(counting(), steps);
  assert.deepEqual(records(baskets).map(shown), ["k [0,10] 2 at 10", "k [20.001,31] 3 at 31"]);
  assert.deepEqual(ledger("main"), { consumed: 6, emitted: 6 });
  const joined = await simulate(counting(), [line(0), line(13), line(10), rebalance, line(90)]);
  assert.deepEqual(joined.records(baskets).map(shown), ["k [0,13] 3 at 13"]);
});

for (const [now, isTaken] of [
  [12.999, true],
  [13, true],
  [13.001, false],
] as const)
  test(`O2: a record of 9 s, with a grace of 4 s, is ${isTaken ? "taken" : "late"} when its source is at ${String(now)} s`, async () => {
    const { records, ledger } = await simulate(counting(), [line(now), line(9), line(90)]);
    assert.deepEqual(records(baskets).map(shown), [
      isTaken
        ? `k [9,${String(now)}] 2 at ${String(now)}`
        : `k [${String(now)},${String(now)}] 1 at ${String(now)}`,
    ]);
    assert.equal(ledger("main")["late"], isTaken ? undefined : 1);
  });

test("a session closes once time has passed its end by more than the gap and the grace", async () => {
  const closedAt = async (second: number) =>
    (await simulate(counting(), [line(1), line(second)])).records(baskets).length;
  assert.equal(await closedAt(14.999), 0);
  assert.equal(await closedAt(15), 0);
  assert.equal(await closedAt(15.001), 1);
});

test("late records are a stream of their own", async () => {
  const steps = [line(20), line(1), line(90)];
  const { records } = await simulate(counting(true), steps);
  assert.deepEqual(
    records(lates).map(({ value }) => since(value?.at ?? 0)),
    [1],
  );
});

test("money adds up exactly, and what a user folds is merged in the order of time", async () => {
  const flow = pipeline("spending", ({ from }) => {
    const grouped = from(input()).groupByKey().windowedBy(window);
    grouped
      .avg("spend", ({ amount = "0" }) => decimal(amount), close)
      .toStream("basket", toBasket)
      .to(baskets);
    grouped
      .aggregate("amounts", {
        value: json<string>(),
        init: () => "",
        add: (text, { amount }) => `${text}${amount ?? ""};`,
        merge: (a, b) => a + b,
        emit: "close",
      })
      .toStream("amounts-basket", toBasket)
      .to(baskets);
  });
  const steps = [
    line(0, { amount: "0.1" }),
    line(13, { amount: "0.3" }),
    line(10, { amount: "0.2" }),
    line(90),
  ];
  const { records } = await simulate(flow, steps);
  assert.deepEqual(records(baskets).map(shown).sort(), [
    "k [0,13] 0.1;0.3;0.2; at 13",
    "k [0,13] 0.2 at 13",
  ]);
});

test("sessions ask for a merge", () => {
  const flow = pipeline("counting", ({ from }) => {
    from(input())
      .groupByKey()
      .windowedBy(window)
      .aggregate("lines", { value: json<number>(), init: () => 0, add: (n) => n + 1 })
      .toStream("basket", toBasket)
      .to(baskets);
  });
  assert.throws(
    () => flow.plan(),
    (error: unknown) => {
      const problems = error instanceof ConfigErrors ? error.problems : [];
      assert.deepEqual(
        problems.map(({ code }) => code),
        ["MILL_BUILD_OPTION"],
      );
      assert.match(String(problems[0]?.message), /aggregate of sessions needs `merge`/);
      return true;
    },
  );
});

test("sessions behind a new key are the same in every schedule", async () => {
  const source = input(2);
  const flow = pipeline("cards", ({ from }) => {
    from(source)
      .groupBy("by-card", ({ card = "c" }) => card, { partitions: 1 })
      .windowedBy(window)
      .count("lines", close)
      .toStream("basket", toBasket)
      .to(baskets);
  });
  const times = [
    [1, 8, 30, 27, 25, 90],
    [3, 14, 19, 52, 89],
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
    const { records, ledger } = await simulate(flow, steps);
    answers.add(records(baskets).map(shown).join("\n"));
    assert.equal(ledger("by-card")["late"], 1);
  }
  // 25 is late: its source was at 30.
  assert.deepEqual([...answers], ["c [1,30] 7 at 30\nc [52,52] 1 at 52"]);
});

test("sessions that close together are emitted in the order of their ends, whatever their keys", async () => {
  const flow = pipeline("cards", ({ from }) => {
    from(input())
      .groupBy("by-card", ({ card = "" }) => card, { partitions: 1 })
      .windowedBy(window)
      .count("lines", close)
      .toStream("basket", toBasket)
      .to(baskets);
  });
  const steps = [line(0, { card: "a" }), line(12, { card: "a" }), line(90, { card: "z" })];
  const { records } = await simulate(flow, [...steps, line(200, { card: "e" })]);
  assert.deepEqual(records(baskets).map(shown), [
    "a [0,0] 1 at 0",
    "a [12,12] 1 at 12",
    "z [90,90] 1 at 90",
  ]);
});
