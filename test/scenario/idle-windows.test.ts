// I1 to I3: windows of a source that has gone quiet close by the wall clock, and one idle partition keeps nobody waiting.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  minutes,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type Duration,
  type Topic,
} from "#engine";
import { advance, crash, send, simulate, type SimulatedStep } from "#testing";

interface View {
  readonly shop: string;
}
interface Row {
  readonly from: number;
  readonly views: number;
}

/** The start of virtual time. */
const START = Date.UTC(2026, 0, 1);
const out = { key: string, value: json<Row>(), partitions: 1, owner: "tests" };
const rows = topic("rows", out);
const viewsOf = (idleAfter: Duration | "never" | null) =>
  topic("views", {
    ...{ key: string, value: json<View>(), partitions: 3, owner: "tests" },
    ...(idleAfter === null ? {} : { idleAfter }),
  });
const window = tumbling({ size: seconds(10), grace: seconds(2) });

const counting = (isBetween: boolean, idleAfter: Duration | "never" | null = null) => {
  const views = viewsOf(idleAfter);
  const flow = pipeline("counting", ({ from }) => {
    const stream = from(views);
    const grouped = isBetween ? stream.groupBy("by-shop", ({ shop }) => shop) : stream.groupByKey();
    grouped
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", (count, { start }) => ({
        from: (Number(start) - START) / 1_000,
        views: count,
      }))
      .to(rows);
  });
  const view = (second: number, partition = 0): SimulatedStep =>
    send(views, "k", { shop: "a" }, { partition, at: START + second * 1_000 });
  return { flow, view };
};

for (const isBetween of [false, true]) {
  const where = isBetween ? "behind a repartition topic (I3)" : "on the source";
  const closed = async (steps: readonly SimulatedStep[], idleAfter?: Duration | "never") => {
    const { flow } = counting(isBetween, idleAfter ?? null);
    const { records } = await simulate(flow, steps);
    return records(rows).map(({ value }) => value);
  };
  const { view } = counting(isBetween);

  test(`I2: ${where}: the last window closes by the wall clock, idleAfter behind it and no sooner`, async () => {
    // [0,10) and its grace end at 12 s: the wall clock is 30 s ahead of that at 42 s.
    assert.deepEqual(await closed([view(1), view(5), advance(seconds(36))]), []);
    const row = { from: 0, views: 2 };
    assert.deepEqual(await closed([view(1), view(5), advance(seconds(44))]), [row]);
    assert.deepEqual(await closed([view(1), crash, view(5), advance(seconds(46))]), [row]);
  });

  test(`I2: ${where}: an idle partition keeps nobody waiting`, async () => {
    const steps = [view(1, 1), advance(seconds(44)), view(44, 1), advance(seconds(2))];
    assert.deepEqual(await closed(steps), [{ from: 0, views: 1 }]);
  });

  test(`idleAfter of a topic: ${where}: minutes, and never`, async () => {
    const steps = [view(1), view(5), advance(seconds(60))];
    assert.deepEqual(await closed(steps, minutes(1)), []);
    assert.deepEqual(await closed([...steps, advance(seconds(15))], minutes(1)), [
      { from: 0, views: 2 },
    ]);
    assert.deepEqual(await closed([...steps, advance(minutes(2))], "never"), []);
  });
}

test("I3: markers carry the time of a quiet source behind the records that it covers: none of them is late or behind", async () => {
  const { flow, view } = counting(true);
  for (const between of [[], [crash]]) {
    const steps = [view(1, 0), view(2, 1), ...between, view(3, 2), advance(seconds(46))];
    const { records, ledger } = await simulate(flow, steps);
    assert.deepEqual(
      records(rows).map(({ value }) => value),
      [{ from: 0, views: 3 }],
    );
    assert.deepEqual(ledger("by-shop"), { consumed: 3, emitted: 3 });
  }
});

test("a record that comes when idleness has closed its window is late: closed, and no second row is made", async () => {
  const { flow, view } = counting(false);
  const { records, ledger } = await simulate(flow, [view(1), advance(seconds(44)), view(2)]);
  assert.deepEqual(
    records(rows).map(({ value }) => value),
    [{ from: 0, views: 1 }],
  );
  assert.equal(ledger("main")["late"], 1);
});

test("only sources behind which something closes are ever taken for quiet", () => {
  const plan = counting(true).flow.plan();
  const idle = plan.parts.flatMap(({ sources }) =>
    sources.map((one) => [one.name, one.idleAfterMs]),
  );
  assert.deepEqual(idle, [
    ["views", 30_000],
    ["counting-by-shop-repartition", undefined],
  ]);
  const views = viewsOf(null);
  const once = pipeline("once", ({ from }) => {
    from(views)
      .distinct("first", { by: ({ shop }) => shop, within: seconds(10) })
      .to(viewsCopy);
  });
  assert.deepEqual(once.plan().parts[0]?.sources[0]?.idleAfterMs, undefined);
  // A topic that the pipeline writes is quiet once the pipeline has worked everything (I4).
  const behind = pipeline("behind", ({ from }) => {
    from(views).to(viewsCopy);
    from(viewsCopy)
      .groupByKey()
      .windowedBy(window)
      .count("views", { emit: "close" })
      .toStream("row", () => ({ from: 0, views: 0 }))
      .to(rows);
  });
  const found = behind
    .plan()
    .parts.flatMap(({ sources }) =>
      sources.map(({ name, idleAfterMs, writtenBy }) => [name, idleAfterMs, writtenBy]),
    );
  assert.deepEqual(found, [
    ["views", undefined, undefined],
    ["views-copy", 30_000, "behind"],
  ]);
});

test("idleAfter is 5 s of a topic that is read with loadFirst, 30 s of any other, and what it says itself of both", async () => {
  const names = topic("names", {
    ...{ key: string, value: json<View>(), partitions: 3, owner: "tests" },
  });
  const idleOf = (reference: Topic<string, View>): (number | undefined)[] => {
    const views = viewsOf(null);
    const both = pipeline("both", ({ from }) => {
      from(views)
        .merge("all", from(reference, { loadFirst: true }))
        .groupByKey()
        .windowedBy(window)
        .count("views-by-key", { emit: "close" })
        .toStream("row", (views) => ({ from: 0, views }))
        .to(rows);
    });
    return both.plan().parts.flatMap(({ sources }) => sources.map((one) => one.idleAfterMs));
  };
  assert.deepEqual(idleOf(names), [30_000, 5_000]);
  const said = (idleAfter: Duration | "never") =>
    topic("names", { key: string, value: json<View>(), partitions: 3, owner: "tests", idleAfter });
  assert.deepEqual(idleOf(said(seconds(7))), [30_000, 7_000]);
  assert.deepEqual(idleOf(said("never")), [30_000, undefined]);
});

test("a reference topic that has been loaded keeps a window no longer than the stream beside it", async () => {
  const views = viewsOf(seconds(8));
  const names = topic("names", {
    ...{ key: string, value: json<View>(), partitions: 3, owner: "tests" },
  });
  const both = pipeline("both", ({ from }) => {
    from(views)
      .merge("all", from(names, { loadFirst: true }))
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", (views) => ({ from: 0, views }))
      .to(rows);
  });
  const steps = [
    send(names, "k", { shop: "a" }, { partition: 0 }),
    send(views, "k", { shop: "a" }, { partition: 0 }),
  ];
  // [0,10) and its grace end at 12 s: the stream is quiet at 20 s, the reference topic sooner.
  const { records } = await simulate(both, [...steps, advance(seconds(22))]);
  assert.deepEqual(
    records(rows).map(({ value }) => value?.views),
    [2],
  );
});
const viewsCopy = topic("views-copy", {
  key: string,
  value: json<View>(),
  partitions: 3,
  owner: "tests",
});
