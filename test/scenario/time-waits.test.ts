// The partition for whose time windows wait is named, by the worker and by its metrics; and what is late where history is fed into
// a topic that counts as quiet.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling, type Duration } from "#engine";
import { advance, send, simulate, type SimulatedStep } from "#testing";
import { entryOf } from "../../src/engine/core/error-table.ts";
import { readinessOf } from "../../src/engine/observe/health.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";

interface View {
  readonly shop: string;
}
const own = { key: string, owner: "tests" };
const counts = topic("counts", { ...own, value: json<number>(), partitions: 1 });
const viewsOf = (idleAfter: Duration | "never") =>
  topic("views", { ...own, value: json<View>(), partitions: 3, idleAfter });
const TOPIC = "shops-by-shop-repartition";

const flowOf = (idleAfter: Duration | "never") =>
  pipeline("shops", ({ from }) => {
    from(viewsOf(idleAfter))
      .groupBy("by-shop", ({ shop }) => shop)
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
      .count("sold", { emit: "close" })
      .toStream("row", (n) => n)
      .to(counts);
  });

function rig(idleAfter: Duration | "never") {
  const fleet = new Fleet([flowOf(idleAfter)]);
  const feed = (partition: number) => fleet.send("views", [{ shop: "a" }], partition);
  const ready = ({ worker }: FleetMember) =>
    readinessOf({
      ...{ isJoined: worker.isJoined, passAgeMs: 0, passAgeMsMax: 1, tasks: worker.health() },
      time: worker.timeWaits(),
    });
  const gauges = (labels: Record<string, string> = {}) =>
    fleet.meter.gauges("millrace_time_held_by", labels);
  return { fleet, feed, ready, gauges };
}

test("ready names the writer whose partition stays silent, for as long as it does, and is ready", async () => {
  const { fleet, feed, ready, gauges } = rig("never");
  const member = await fleet.join();
  for (let second = 0; second < 40; second++) {
    await feed(0);
    await feed(2);
    if (second < 5) await feed(1);
    await fleet.clock.advance(1_000);
  }
  const { ok, time = [] } = ready(member);
  assert.equal(ok, true);
  const [wait, ...more] = time;
  assert.ok(wait !== undefined && more.length === 0);
  const { part, operator, topic: of, partition, behindSeconds } = wait;
  assert.deepEqual(
    { part, operator, topic: of, partition, of: wait.of },
    { part: "by-shop", operator: "sold", topic: TOPIC, partition: 1, of: "writer" },
  );
  assert.ok(behindSeconds !== null && behindSeconds >= 34, String(behindSeconds));
  assert.match(wait.why, /^shops\.by-shop sold waits for task 1, which writes shops-by-shop-/);
  const [gauge, ...others] = gauges();
  assert.ok(gauge !== undefined && others.length === 0, "one series");
  assert.deepEqual(gauges({ topic: TOPIC, partition: "1", operator: "sold" }), [gauge]);
  assert.ok(Math.abs(gauge - behindSeconds) <= 2.5, `${String(gauge)}, ${String(behindSeconds)}`);
});

test("when the partition goes on another one is named, and the series of the first is gone", async () => {
  const { fleet, feed, ready, gauges } = rig("never");
  const member = await fleet.join();
  const slowest = () => ready(member).time?.[0]?.partition;
  const feedAll = async (partitions: readonly number[], times: number) => {
    for (let n = 0; n < times; n++) {
      for (const partition of partitions) await feed(partition);
      await fleet.clock.advance(1_000);
    }
  };
  await feedAll([0, 1], 20);
  assert.equal(slowest(), 2);
  assert.equal(ready(member).time?.[0]?.behindSeconds, null, "it has no time yet");
  assert.ok(Number(gauges({ partition: "2" })[0]) >= 15, "counted since it was first seen");
  await feedAll([1, 2], 40);
  assert.equal(slowest(), 0);
  assert.deepEqual(gauges({ partition: "2" }), []);
  assert.equal(gauges().length, 1);
});

test("a quiet partition is waited for no longer than its idleAfter behind the wall clock", async () => {
  const { fleet, feed, ready } = rig(seconds(30));
  const member = await fleet.join();
  for (let second = 0; second < 120; second++) {
    await feed(0);
    await fleet.clock.advance(1_000);
  }
  const behind = ready(member).time?.[0]?.behindSeconds ?? Infinity;
  // Markers go out where they close a window of ten seconds.
  assert.ok(behind <= 30 + 10 + 4, String(behind));
});

test("nothing is said where no operator asks for time, nor in a run, whose time ends with its range", async () => {
  const copy = pipeline("copy", ({ from }) => {
    from(viewsOf("never")).to(topic("views-copy", { ...own, value: json<View>(), partitions: 3 }));
  });
  const fleet = new Fleet([copy]);
  const { worker } = await fleet.join();
  await fleet.send("views", [{ shop: "a" }]);
  await fleet.clock.advance(5_000);
  assert.deepEqual(worker.timeWaits(), []);
  assert.deepEqual(fleet.meter.gauges("millrace_time_held_by"), []);
  const run = await simulate(flowOf("never"), [send(viewsOf("never"), "k", { shop: "a" })], {
    end: "close",
  });
  assert.deepEqual(run.meter.gauges("millrace_time_held_by"), []);
});

const views = viewsOf(seconds(30));
const LONG_AGO = Date.UTC(2020, 5, 1);
const old = (second: number): SimulatedStep =>
  send(views, "k", { shop: "a" }, { partition: 0, at: LONG_AGO + second * 1_000 });

test("history that is fed into a live topic is warned of, once a task, with what will be late and the setting", async () => {
  const steps = [old(0), old(5), advance(seconds(40)), old(100), advance(seconds(40)), old(200)];
  const { log, ledger } = await simulate(flowOf(seconds(30)), steps);
  const warned = log.lines.filter(({ facts }) => facts["code"] === "MILL_TIME_HISTORY");
  assert.equal(warned.length, 1);
  const [{ level, facts, message }] = warned as [(typeof warned)[0]];
  assert.equal(level, "warn");
  assert.deepEqual(facts, {
    ...{ pipeline: "shops", part: "main", topic: "views", partition: 0 },
    code: "MILL_TIME_HISTORY",
  });
  assert.ok(message.startsWith(`${entryOf("MILL_TIME_HISTORY").message}: views: `));
  assert.match(message, /the newest is of 2020-06-01T00:00:05\.000Z, but after 30 seconds/);
  assert.match(message, /are late for sold\. .*idleAfter: "never"$/);
  assert.equal(ledger("by-shop")["late"], 2, "as the line says");
});

test('history that is fed under idleAfter: "never" is not late, and nobody warns', async () => {
  const steps = [old(0), old(5), advance(seconds(40)), old(100), advance(seconds(40)), old(200)];
  const { log, ledger } = await simulate(flowOf("never"), steps);
  assert.deepEqual(
    log.lines.filter(({ facts }) => facts["code"] === "MILL_TIME_HISTORY"),
    [],
  );
  assert.equal(ledger("by-shop")["late"], undefined);
  assert.equal(ledger("by-shop")["behind"], undefined);
});
