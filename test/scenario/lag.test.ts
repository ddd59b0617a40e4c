// Lag is how long ago the oldest record was appended that is not committed, whatever its timestamp says and whatever keeps it: exact
// in virtual time, beside a probe that knows when it has sent each record.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, minutes, pipeline, string, topic, type Pipeline } from "#engine";
import { lagsOf } from "../../src/data/lag.ts";
import { LagBook } from "../../src/engine/observe/lag/append-times.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { open, shut } from "../support/gating.ts";
import { LagProbe } from "../support/lag-probe.ts";
import { things, type Thing } from "../support/plans.ts";
import { rows } from "../support/stopping.ts";
import { TroubledCopies } from "../support/troubled-copies.ts";

const input = things("in", 1);
const output = things("out", 1);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });

const copy = pipeline("copy", ({ from }) => {
  from(input).to(output);
});
const summed = pipeline("summed", ({ from }) => {
  from(input)
    .groupByKey()
    .sum("total", ({ n }) => n)
    .to(sums);
});
const stored = pipeline("stored", ({ from }) => {
  from(input).upsertInto(rows);
});

/** A second a record while something is in the way for a minute, and a while after it. */
async function beside(
  fleet: Fleet,
  probe: LagProbe,
  check: () => Promise<void>,
  trouble: { begin(): unknown; end(): unknown },
): Promise<void> {
  for (let second = 0; second < 90; second++) {
    if (second === 10) await trouble.begin();
    if (second === 70) await trouble.end();
    await probe.send();
    await fleet.clock.advance(700);
    await check();
    await fleet.clock.advance(300);
    await check();
  }
  await fleet.drained();
}

/** Checks the gauge each time, and keeps the greatest. */
function exactly(probe: LagProbe, member: FleetMember, part: string, toleranceS = 0) {
  const seen = { most: 0 };
  return {
    seen,
    check: async (): Promise<void> => {
      const said = probe.said(member, part) ?? NaN;
      const truth = await probe.truth(part);
      assert.ok(Math.abs(said - truth) <= toleranceS, `said ${said}, true ${truth}`);
      seen.most = Math.max(seen.most, said);
    },
  };
}

async function run(
  use: Pipeline,
  part: string,
  troubleOf: (fleet: Fleet) => { begin(): unknown; end(): unknown },
  toleranceS = 0,
): Promise<void> {
  const fleet = new Fleet([use]);
  const trouble = troubleOf(fleet);
  const member = await fleet.join();
  const probe = new LagProbe(fleet, input.name);
  const { seen, check } = exactly(probe, member, part, toleranceS);
  await beside(fleet, probe, check, trouble);
  assert.ok(seen.most > 50, `the trouble showed: ${seen.most} s`);
  assert.equal(probe.said(member, part), 0);
}

test("lag is exact while Redis is away", () =>
  run(summed, "main", (fleet) => {
    const copies = new TroubledCopies();
    fleet.copies = copies;
    return { begin: () => copies.setAvailable(false), end: () => copies.setAvailable(true) };
  }));

test("lag is exact while Postgres is away", () =>
  run(stored, "rows", ({ tables }) => ({
    begin: () => tables.setAvailable(false),
    end: () => tables.setAvailable(true),
  })));

test("lag is exact while a call is waited for", () => {
  let wait = Promise.resolve();
  let release = (): void => undefined;
  const calling = pipeline("calling", ({ from }) => {
    from(input)
      .mapAsync("ask", async (t: Thing) => (await wait, t), {
        concurrency: 4,
        timeout: minutes(5),
      })
      .to(output);
  });
  return run(calling, "main", () => ({
    begin: () => void (wait = new Promise((resolve) => (release = resolve))),
    end: () => release(),
  }));
});

test("while the gate is shut nobody fetches: lag is right to the second between two looks", () =>
  run(
    copy,
    "main",
    (fleet) => ({ begin: () => shut(fleet, "closed"), end: () => open(fleet) }),
    1,
  ));

/** A backlog whose timestamps say what they may, then a worker that begins ten seconds later, and cannot commit. */
async function begun(use: Pipeline, config: Readonly<Record<string, string>>, ageMs: number) {
  const fleet = new Fleet([use]);
  await fleet.during(fleet.kafka.port().admin().alterTopicConfig(input.name, config));
  const copies = new TroubledCopies();
  fleet.copies = copies;
  const probe = new LagProbe(fleet, input.name);
  probe.ageMs = ageMs;
  await probe.send();
  await fleet.clock.advance(10_000);
  copies.setAvailable(false);
  const member = await fleet.join();
  await fleet.clock.advance(20_000);
  const part = use.plan().parts[0]?.name ?? "";
  const said = probe.said(member, part);
  const atLeast = probe.said(member, part, input.name, "millrace_lag_seconds_at_least");
  copies.setAvailable(true);
  await fleet.drained();
  assert.deepEqual([probe.said(member, part), await probe.truth(part)], [0, 0]);
  return { said, atLeast };
}

const appendTime = { "message.timestamp.type": "LogAppendTime" };

test("after a start lag is exact where the topic keeps the time of the append", async () => {
  assert.deepEqual(await begun(summed, appendTime, 0), { said: 30, atLeast: 0 });
});

test("after a start a producer's time is taken where it can be one of an append", async () => {
  assert.deepEqual(await begun(summed, {}, 0), { said: 30, atLeast: 0 });
  assert.deepEqual(await begun(summed, {}, 3_600_000), { said: 3_630, atLeast: 0 });
});

test("after a start event times are no lag: it counts since the record was first seen, and says so", async () => {
  for (const ageMs of [365 * 86_400_000, 8 * 86_400_000, -3_600_000, 0 - 1e15]) {
    const { said, atLeast } = await begun(summed, {}, ageMs);
    assert.ok(said !== null && said >= 19 && said <= 20, `${said} s`);
    assert.equal(atLeast, 1);
  }
  const forever = { "retention.ms": "-1" };
  assert.equal((await begun(summed, forever, 30 * 86_400_000)).atLeast, 1);
});

test("times that were seen to be wrong once are believed no more", async () => {
  const fleet = new Fleet([stored]);
  const member = await fleet.join();
  const probe = new LagProbe(fleet, input.name);
  probe.ageMs = 3_600_000;
  await probe.send();
  await fleet.drained();
  fleet.tables.setAvailable(false);
  await probe.send();
  await fleet.clock.advance(5_000);
  assert.equal(probe.said(member, "rows"), 5);
});

/** A table behind a repartition: its part reads a topic of ours, whose records carry event time. */
const far = pipeline("far", ({ from }) => {
  from(input)
    .rekey("by-id", ({ id }) => id)
    .upsertInto(rows);
});

test("topics between parts say by their transactions when a record came, also after a start", async () => {
  const fleet = new Fleet([far]);
  const between = far.plan().parts.find(({ name }) => name === "rows")?.sources[0]?.name ?? "";
  let member = await fleet.join();
  const probe = new LagProbe(fleet, input.name);
  await probe.send();
  await fleet.drained();
  assert.equal(probe.said(member, "rows", between), 0);
  fleet.tables.setAvailable(false);
  await probe.send(3);
  await fleet.clock.advance(10_000);
  const first = probe.said(member, "rows", between) ?? NaN;
  assert.ok(Math.abs(first - 10) < 0.3, `${first} s`);
  fleet.kafka.crash(member.port);
  await fleet.clock.advance(20_000);
  member = await fleet.join();
  await fleet.clock.advance(20_000);
  const later = probe.said(member, "rows", between) ?? NaN;
  assert.ok(Math.abs(later - 50) < 0.3, `${later} s`);
  assert.equal(probe.said(member, "rows", between, "millrace_lag_seconds_at_least"), 0);
});

test("while no worker runs, a command that goes on looking counts from when it saw a record", async () => {
  const fleet = new Fleet([copy]);
  const probe = new LagProbe(fleet, input.name);
  const kafka = fleet.kafka.port();
  const book = new LagBook();
  const look = async () =>
    (await fleet.during(lagsOf(fleet.plans, { kafka, clock: fleet.clock, book })))[0];
  assert.deepEqual((await look())?.seconds, 0);
  await fleet.clock.advance(1_000);
  for (let second = 1; second <= 60; second++) {
    await probe.send();
    await fleet.clock.advance(500);
    const said = (await look())?.seconds ?? NaN;
    const truth = await probe.truth("main");
    assert.ok(Math.abs(said - truth) <= 0.5, `said ${said}, true ${truth}`);
    await fleet.clock.advance(500);
  }
});

test("lag in records counts to the last stable offset: what an open transaction holds back is none", async () => {
  const fleet = new Fleet([copy]);
  const member = await fleet.join();
  const producer = fleet.kafka.port().txProducer({ transactionalId: "t", timeoutMs: 600_000 });
  await fleet.during(producer.init());
  producer.begin();
  const record = { topic: input.name, partition: 0, key: null, value: Buffer.from("{}") };
  await fleet.during(producer.send([{ ...record, headers: [], timestamp: 0 }]));
  await fleet.clock.advance(5_000);
  const probe = new LagProbe(fleet, input.name);
  const records = () => probe.said(member, "main", input.name, "millrace_lag_records");
  assert.deepEqual([records(), probe.said(member, "main")], [0, 0]);
  await shut(fleet, "closed");
  await fleet.clock.advance(5_000);
  await fleet.during(producer.commit());
  await fleet.clock.advance(5_000);
  assert.deepEqual([records(), probe.said(member, "main")], [2, 4.5]);
  await open(fleet);
  await fleet.drained();
  assert.deepEqual([records(), probe.said(member, "main")], [0, 0]);
});

test("only control records behind progress are no lag, also while nobody reads them", async () => {
  const fleet = new Fleet([copy]);
  const member = await fleet.join();
  await shut(fleet, "closed");
  const producer = fleet.kafka.port().txProducer({ transactionalId: "t", timeoutMs: 600_000 });
  await fleet.during(producer.init());
  for (let i = 0; i < 2; i++) {
    producer.begin();
    const record = { topic: input.name, partition: 0, key: null, value: Buffer.from("{}") };
    await fleet.during(producer.send([{ ...record, headers: [], timestamp: 0 }]));
    await fleet.during(producer.abort());
    await fleet.clock.advance(60_000);
    const probe = new LagProbe(fleet, input.name);
    assert.equal(probe.said(member, "main"), 0);
  }
});

test("a rebalance leaves lag as it is, and partitions of others to them", async () => {
  const two = things("two", 2);
  const fleet = new Fleet([pipeline("two-parts", ({ from }) => from(two).upsertInto(rows))]);
  const first = await fleet.join();
  const probe = new LagProbe(fleet, two.name);
  fleet.tables.setAvailable(false);
  await probe.send();
  await fleet.clock.advance(30_000);
  assert.equal(probe.said(first, "rows"), 30);
  const second = await fleet.join();
  await fleet.clock.advance(10_000);
  const [a, b] = [first, second].map((member) => {
    fleet.meter.forget({ topic: two.name });
    return [probe.said(member, "rows"), fleet.meter.gauges("millrace_lag_seconds").length];
  });
  assert.deepEqual(new Set([a, b].map(String)), new Set(["40,1", ",1"]));
});
