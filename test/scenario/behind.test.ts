// W4: records that come when time has passed them in front of an operator are worked as its rule says, and counted by operator.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { advance, redrive, send, simulate, type Simulated, type SimulatedStep } from "#testing";
import { Fleet } from "../support/fleet.ts";

interface View {
  readonly shop: string;
  readonly isBad?: boolean;
}

const START = Date.UTC(2026, 0, 1);
const own = { key: string, partitions: 2, owner: "tests" };
const views = topic("views", { ...own, value: json<View>() });
const counts = topic("counts", { ...own, value: json<number>() });
const window = tumbling({ size: seconds(10), grace: seconds(2) });

const counting = (isBetween: boolean) =>
  pipeline("counting", ({ from }) => {
    const stream = from(views);
    const grouped = isBetween ? stream.groupBy("by-shop", ({ shop }) => shop) : stream.groupByKey();
    grouped
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", (n) => n)
      .to(counts);
  });
const view = (second: number, partition = 0): SimulatedStep =>
  send(views, "k", { shop: "a" }, { partition, at: START + second * 1_000 });

const behindIn = ({ ledger, meter }: Simulated, part: string, operator = "views-by-key") => {
  const counted = meter.counter("millrace_time_behind_total", { part, operator });
  assert.equal(ledger(part)["behind"] ?? 0, counted, "ledger and metric say the same");
  return counted;
};

for (const isBetween of [false, true]) {
  const where = isBetween ? "behind a topic between parts" : "on the source";
  const part = isBetween ? "by-shop" : "main";

  test(`W4: ${where}: records of before that come into a quiet source are behind, also where they are in time`, async () => {
    // Quiet since 1 s: time is 30 s behind the wall clock, at 16 s. [0,10) is closed, [10,20) is open.
    const steps = [view(1), advance(seconds(46)), view(2), view(11), advance(seconds(2)), view(50)];
    const run = await simulate(counting(isBetween), steps);
    assert.equal(behindIn(run, part), 2);
    assert.equal(run.ledger(part)["late"], 1, "the one in [10,20) is in time");
    assert.equal(run.ledger(part)["consumed"], 4);
    assert.equal(run.meter.counter("millrace_ledger_records_total", { part }), 4);
  });

  test(`W4: ${where}: without quiet sources none is behind, however old the records of a partition are`, async () => {
    const steps = [view(100), view(1, 1), view(99), view(50), view(2, 1), view(101), view(120, 1)];
    const run = await simulate(counting(isBetween), steps);
    assert.equal(behindIn(run, part), 0);
    assert.ok((run.ledger(part)["late"] ?? 0) > 0, "late by its own source is not behind");
  });
}

test("W4: a letter that comes back keeps its origin, so it may be behind", async () => {
  let tries = 0;
  const flow = pipeline("counting", ({ from }) => {
    from(views)
      .map("read", (value) => {
        if (value.isBad === true && tries++ === 0) throw new Error("not yet");
        return value;
      })
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", (n) => n)
      .to(counts);
  });
  const bad = send(views, "k", { shop: "a", isBad: true }, { partition: 0, at: START + 1_000 });
  const run = await simulate(flow, [bad, view(40), redrive, advance(seconds(12))]);
  assert.deepEqual(run.letterStates, { resolved: 1 });
  assert.equal(behindIn(run, "main"), 1);
});

test("a batch that is run again without a record that fails counts the others once", async () => {
  const flow = pipeline("twice", ({ from }) => {
    from(views)
      .mapWithState("seen", {
        state: json<number>(),
        map: (n, value) => ({ state: (n ?? 0) + 1, emit: [value] }),
      })
      .groupByKey()
      .windowedBy(window)
      .aggregate("views-by-key", {
        ...{ value: json<number>(), init: () => 0, emit: "close" },
        add: (n: number, value: View) => {
          if (value.isBad === true) throw new Error("bad");
          return n + 1;
        },
      })
      .toStream("row", (n) => n)
      .to(counts);
  });
  const fleet = new Fleet([flow]);
  await fleet.join();
  const start = fleet.clock.now();
  const record = (second: number, value: View) => ({
    ...{ topic: "views", partition: 0, key: Buffer.from("k"), headers: [] },
    value: Buffer.from(JSON.stringify(value)),
    timestamp: start + second * 1_000,
  });
  const good = { shop: "a" };
  await fleet.sendRecords([record(1, good)]);
  await fleet.clock.advance(46_000);
  const bad = { shop: "a", isBad: true };
  await fleet.sendRecords([record(14, good), record(15, good), record(15, bad), record(15, good)]);
  await fleet.drained();
  const { behind, consumed, "dead-lettered": letters } = await fleet.ledger("main");
  assert.deepEqual([consumed, letters, behind], [5, 1, 3]);
  assert.equal(fleet.meter.counter("millrace_time_behind_total"), 3);
});
