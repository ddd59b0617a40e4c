// W3: a window behind a window gets its results before the time that has closed the first one, whatever moved that time: a
// record, a marker of another part, or the wall clock where sources are quiet.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hopping,
  json,
  pipeline,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
} from "#engine";
import type { Duration, WindowOf } from "#engine";
import { advance, send, simulate, type SimulatedStep } from "#testing";

interface View {
  readonly shop: string;
}
interface Row {
  readonly until: number;
  readonly windows: number;
}

/** The start of virtual time. */
const START = Date.UTC(2026, 0, 1);
const views = topic("views", { key: string, value: json<View>(), partitions: 1, owner: "tests" });
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const firstRows = topic("first-rows", {
  ...{ key: string, value: json<Row>(), partitions: 1, owner: "tests" },
});
const view = (second: number): SimulatedStep =>
  send(views, "a", { shop: "a" }, { at: START + second * 1_000 });

const grace = seconds(0);
/** How many of the first windows there are in each of the second. */
const chain = (first: WindowOf, isBetween: boolean) =>
  pipeline("chain", ({ from }) => {
    const stream = from(views);
    const grouped = isBetween ? stream.groupBy("by-shop", ({ shop }) => shop) : stream.groupByKey();
    grouped
      .windowedBy(first)
      .count("first", { emit: "close" })
      .toStream("first-rows", (n) => n)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(50), grace }))
      .count("second", { emit: "close" })
      .toStream("row", (windows, { end }) => ({ until: (Number(end) - START) / 1_000, windows }))
      .to(rows);
  });

const ten = seconds(10);
const firsts: readonly (readonly [string, WindowOf, number])[] = [
  ["tumbling", tumbling({ size: ten, grace: seconds(1) }), 3],
  ["hopping", hopping({ size: ten, advance: seconds(5), grace }), 6],
  ["sessions", session({ gap: seconds(4), grace: seconds(1) }), 3],
  ["sliding", sliding({ difference: seconds(2), grace }), 3],
];

const closed = async (
  [first, isBetween]: readonly [WindowOf, boolean],
  last: SimulatedStep,
  wait: Duration = seconds(1),
) => {
  const steps = [view(2), view(12), view(22), last, advance(wait)];
  const { records } = await simulate(chain(first, isBetween), steps);
  return records(rows).map(({ value }) => value);
};

for (const [name, first, windows] of firsts) {
  const row = { until: 50, windows };
  test(`W3: ${name} into windows of 50 s: a record closes both`, async () => {
    assert.deepEqual(await closed([first, false], view(1_000)), [row]);
  });
  test(`W3: ${name} into windows of 50 s: a marker closes both`, async () => {
    assert.deepEqual(await closed([first, true], view(1_000)), [row]);
  });
  test(`W3: ${name} into windows of 50 s: the wall clock closes both`, async () => {
    for (const isBetween of [false, true])
      assert.deepEqual(await closed([first, isBetween], advance(seconds(1)), seconds(90)), [row]);
  });
}

test("W2: time behind late records is not held back by the grace of their window", async () => {
  const late = pipeline("late", ({ from }) => {
    const first = from(views)
      .groupByKey()
      .windowedBy(tumbling({ size: ten, grace: seconds(20) }))
      .count("first", { emit: "close" });
    first.toStream("first-rows", (windows) => ({ until: 0, windows })).to(firstRows);
    first.late
      .groupByKey()
      .windowedBy(tumbling({ size: ten, grace: seconds(60) }))
      .count("missed", { emit: "close" })
      .toStream("row", (windows, { end }) => ({ until: (Number(end) - START) / 1_000, windows }))
      .to(rows);
  });
  const until = async (last: number) => {
    const { records } = await simulate(late, [view(40), view(2), view(last)]);
    return records(rows).map(({ value }) => value);
  };
  assert.deepEqual(await until(69.999), []);
  assert.deepEqual(await until(70), [{ until: 10, windows: 1 }]);
});

test("W3: what a marker makes due of several keys is worked in the order of the ends, and comes to its end", async () => {
  for (const window of [
    sliding({ difference: seconds(2), grace }),
    session({ gap: seconds(1), grace }),
  ]) {
    const flow = pipeline("keys", ({ from }) => {
      from(views)
        .groupBy("by-shop", ({ shop }) => shop, { partitions: 1 })
        .windowedBy(window)
        .count("views", { emit: "close" })
        .toStream("row", (windows, { end }) => ({ until: (Number(end) - START) / 1_000, windows }))
        .to(rows);
    });
    const seen = [1, 2, 4, 7].flatMap((second) =>
      ["a", "b", "c"].map((shop, i) =>
        send(views, "k", { shop }, { at: START + second * 1_000 + i * 300 }),
      ),
    );
    const { records } = await simulate(flow, [...seen, view(100)]);
    const ends = records(rows).map(({ value }) => value?.until ?? 0);
    assert.ok(ends.length > 8);
    assert.deepEqual(
      ends,
      ends.toSorted((a, b) => a - b),
    );
  }
});
