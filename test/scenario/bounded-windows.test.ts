// B1: at the end of a bounded run time ends, so every window closes; or they are kept as they are, and it gives what live gives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, minutes, pipeline, seconds, session, string, topic, tumbling } from "#engine";
import { advance, crash, rebalance, send, simulate, type SimulatedStep } from "#testing";

interface View {
  readonly shop: string;
}
interface Row {
  readonly from: number;
  readonly views: number;
}

const START = Date.UTC(2026, 0, 1);
const shape = { key: string, owner: "tests" };
const views = topic("views", { ...shape, value: json<View>(), partitions: 3 });
const rows = topic("rows", { ...shape, value: json<Row>(), partitions: 2 });
const sums = topic("sums", { ...shape, value: json<Row>(), partitions: 2 });
const window = tumbling({ size: seconds(10), grace: seconds(2) });
const toRow = (views: number, { start }: { readonly start: unknown }): Row => ({
  from: (Number(start) - START) / 1_000,
  views,
});

const direct = pipeline("direct", ({ from }) => {
  from(views)
    .groupByKey()
    .windowedBy(window)
    .count("n", { emit: "close" })
    .toStream("row", toRow)
    .to(rows);
});
/** A window behind another one, in a part behind a repartition topic. */
const chained = pipeline("chained", ({ from }) => {
  from(views)
    .groupBy("by-shop", ({ shop }) => shop)
    .windowedBy(window)
    .count("n", { emit: "close" })
    .toStream("row", toRow)
    .groupBy("all", () => "all")
    .windowedBy(tumbling({ size: minutes(1), grace: seconds(0) }))
    .sum("sum", ({ views: n }) => n, { emit: "close" })
    .toStream("row-of-all", toRow)
    .to(sums);
});
/** The same through a topic of the pipeline's own, which is a source like any other. */
const again = pipeline("again", ({ from }) => {
  from(views)
    .groupByKey()
    .windowedBy(window)
    .count("n", { emit: "close" })
    .toStream("row", toRow)
    .to(rows);
  from(rows)
    .groupByKey()
    .windowedBy(session({ gap: seconds(15), grace: minutes(1) }))
    .sum("sum", ({ views: n }) => n, { emit: "close" })
    .toStream("row-of-all", toRow)
    .to(sums);
});

const view = (second: number, partition = 0, shop = "a"): SimulatedStep =>
  send(views, shop, { shop }, { partition, at: START + second * 1_000 });
const steps = [view(1), view(5, 1), view(27), view(28, 2, "b")];
const valuesOf = (all: readonly { readonly value: Row | null }[]): (Row | null)[] =>
  all
    .map(({ value }) => value)
    .sort((a, b) => (a?.from ?? 0) - (b?.from ?? 0) || (a?.views ?? 0) - (b?.views ?? 0));

test("B1: with keep, windows that are open at the end give no row, as live", async () => {
  const { records } = await simulate(direct, steps);
  assert.deepEqual(valuesOf(records(rows)), [{ from: 0, views: 1 }]);
});

test("B1: with close, every window closes at the end, each once, with its own time", async () => {
  const { records, ledger } = await simulate(direct, steps, { end: "close" });
  const found = records(rows);
  assert.deepEqual(valuesOf(found), [
    { from: 0, views: 1 },
    { from: 0, views: 1 },
    { from: 20, views: 1 },
    { from: 20, views: 1 },
  ]);
  assert.ok(found.every(({ timestamp }) => (timestamp - START + 1) % 10_000 === 0));
  assert.equal(ledger("main")["late"] ?? 0, 0);
});

const interrupted = (all: readonly SimulatedStep[]): SimulatedStep[] =>
  all.flatMap((step, i) => [step, i % 2 === 0 ? crash : rebalance]);

for (const [name, flow, seeds] of [
  ["chained windows in several parts", chained, 6],
  ["windows behind a topic of its own", again, 6],
] as const)
  test(`B1: with close, ${name} close in the order of the flow, whatever dies`, async () => {
    const whole = await simulate(flow, steps, { end: "close" });
    const expected = valuesOf(whole.records(sums));
    assert.ok(expected.length > 0);
    assert.equal(
      expected.reduce((sum, row) => sum + (row?.views ?? 0), 0),
      steps.length,
    );
    for (let seed = 1; seed <= seeds; seed++) {
      const { records } = await simulate(flow, interrupted(steps), { seed, end: "close" });
      assert.deepEqual(valuesOf(records(sums)), expected, `seed ${String(seed)}`);
    }
  });

test("B1: a bounded run has no idleness: nothing closes by the wall clock", async () => {
  const late = [view(1), advance(minutes(2)), view(2)];
  const { records, ledger } = await simulate(direct, late, { end: "close" });
  assert.deepEqual(valuesOf(records(rows)), [{ from: 0, views: 2 }]);
  assert.equal(ledger("main")["late"] ?? 0, 0);
});

test("B1: one pipeline behind another ends when that one has ended", async () => {
  const behind = pipeline("behind", ({ from }) => {
    from(rows)
      .groupByKey()
      .windowedBy(tumbling({ size: minutes(1), grace: seconds(0) }))
      .sum("sum", ({ views: n }) => n, { emit: "close" })
      .toStream("row-of-all", toRow)
      .to(sums);
  });
  const { records } = await simulate([behind, direct], steps, { end: "close" });
  assert.deepEqual(valuesOf(records(sums)), [
    { from: 0, views: 1 },
    { from: 0, views: 3 },
  ]);
});
