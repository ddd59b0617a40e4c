// A reference topic that is loaded first: at a first start nothing of the other sources is read before it, whoever dies and
// whatever lies at its end; later nothing waits any more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, type PipelineOptions } from "#engine";
import type { OutRecord } from "../../src/engine/core/record.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import { readinessOf } from "../../src/engine/observe/health.ts";
import { planReset, reset } from "../../src/engine/operate/reset.ts";
import { decodeMetadata } from "../../src/engine/core/task-inputs.ts";
import { planRun, type RunRequest } from "../../src/engine/reprocess/plan/run-plan.ts";
import { stagingTopic } from "../../src/engine/reprocess/plan/shadow.ts";
import { fillFromLetters } from "../../src/engine/reprocess/run/letters.ts";
import type { ReprocessPorts } from "../../src/engine/reprocess/words/ports.ts";
import { Fleet } from "../support/fleet.ts";
import { things } from "../support/plans.ts";
import { operatorOf } from "../support/redriving.ts";

const countries = things("countries", 1);
const events = things("events", 1);
const seen = things("seen", 1);

/** Each event tells the number of its country, 0 where it sees none. */
const joined = (isFirst = true, options: PipelineOptions = {}) =>
  pipeline("joined", options, ({ from }) => {
    const known = from(countries, { loadFirst: isFirst }).map("c", ({ id, n }) => ({
      c: n,
      id,
      e: 0,
    }));
    from(events)
      .map("e", ({ id, n }) => ({ c: 0, id, e: n }))
      .merge("both", known)
      .mapWithState("join", {
        state: json<number>(),
        map: (state: number | null, { c, e }) =>
          c > 0
            ? { state: c, emit: [] }
            : { state, emit: [{ id: String(e), n: state ?? 0 } as const] },
      })
      .to(seen);
  });

const record = (topic: string, key: string, n: number, timestamp: number): OutRecord => ({
  ...{ topic, partition: 0, key: Buffer.from(key), headers: [], timestamp },
  value: Buffer.from(JSON.stringify({ id: key, n })),
});

/** Countries are younger than the events, so no order by time puts them first. */
const sendCountries = (fleet: Fleet, from: number, to: number): Promise<void> =>
  fleet.sendRecords(
    Array.from({ length: to - from }, (_, i) =>
      record(countries.name, `k${String(from + i)}`, 1 + from + i, 1_000_000),
    ),
  );
const sendEvents = (fleet: Fleet, count: number, keys: number): Promise<void> =>
  fleet.sendRecords(
    Array.from({ length: count }, (_, i) => record(events.name, `k${String(i % keys)}`, i, 1_000)),
  );

const nulls = (fleet: Fleet): number => fleet.values(seen).filter(({ n }) => n === 0).length;
const small = { sliceRecordsMax: 7, checkpointRecordsMax: 10 };
const said = (fleet: Fleet, what: RegExp): number =>
  fleet.log.lines.filter(({ message }) => what.test(message)).length;
const waits = /^events-0 waits: countries-0 is loaded first, \d+ of \d+$/;
const loaded = /^the reference topics are loaded/;

/** A fleet whose first worker dies when it has committed a part of the countries. */
async function diedInTheMidst(flow = joined()) {
  const fleet = new Fleet([flow], small);
  await sendCountries(fleet, 0, 100);
  await sendEvents(fleet, 200, 100);
  const member = await fleet.join();
  await fleet.until("a part is committed", () => committed(fleet) > 20n);
  fleet.kafka.crash(member.port);
  assert.ok(committed(fleet) < 100n);
  return fleet;
}

/** Committed progress in the countries. */
const committed = (fleet: Fleet): bigint => {
  const [changes = []] = [fleet.kafka.records("joined-join-changelog", { committed: true })];
  return BigInt(changes.length);
};

test("at a first start no event is read before the countries that were there", async () => {
  const fleet = new Fleet([joined()], small);
  await sendCountries(fleet, 0, 50);
  await sendEvents(fleet, 300, 50);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [300, 0]);
  assert.deepEqual([said(fleet, waits), said(fleet, loaded)], [1, 1]);
});

test("without loadFirst events see no country", async () => {
  const fleet = new Fleet([joined(false)], small);
  await sendCountries(fleet, 0, 50);
  await sendEvents(fleet, 300, 50);
  await fleet.join();
  await fleet.drained();
  assert.ok(nulls(fleet) > 0);
});

test("meanwhile /ready says which partition waits, for which topic and how far that is", async () => {
  const fleet = new Fleet([joined()], small);
  await sendCountries(fleet, 0, 100);
  await sendEvents(fleet, 10, 100);
  const { worker } = await fleet.join();
  const reasons = (): readonly string[] =>
    readinessOf({ isJoined: true, passAgeMs: 0, passAgeMsMax: 1, tasks: worker.health() }).reasons;
  await fleet.until("it loads", () => committed(fleet) > 10n);
  const [reason = "", ...others] = reasons();
  assert.match(
    reason,
    /^joined\.main events-0 is paused: waits: countries-0 is loaded first, \d+ of 100$/,
  );
  assert.deepEqual(others, []);
  await fleet.drained();
  assert.deepEqual(reasons(), []);
});

test("a worker that dies in the midst leaves its successor to load the rest first", async () => {
  const fleet = await diedInTheMidst();
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [200, 0]);
  assert.equal(said(fleet, waits), 2);
});

test("what arrives while it loads is not waited for, nor does a successor wait for it", async () => {
  const fleet = await diedInTheMidst();
  await sendCountries(fleet, 100, 400);
  await fleet.join();
  await fleet.until("an event is through", () => fleet.values(seen).length > 0);
  const notes = fleet.log.lines.map(({ message }) => message).filter((one) => waits.test(one));
  assert.match(notes.at(-1) ?? "", /of 100$/);
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [200, 0]);
});

test("a rebalance in the midst changes nothing", async () => {
  const fleet = new Fleet([joined()], small);
  await sendCountries(fleet, 0, 100);
  await sendEvents(fleet, 200, 100);
  await fleet.join();
  await fleet.until("a part is committed", () => committed(fleet) > 20n);
  fleet.kafka.rebalance("joined.main");
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [200, 0]);
});

test("once it is loaded nothing waits any more, whatever the countries lag by", async () => {
  const fleet = new Fleet([joined()], small);
  await sendCountries(fleet, 0, 20);
  await sendEvents(fleet, 20, 20);
  const member = await fleet.join();
  await fleet.drained();
  fleet.kafka.crash(member.port);
  await sendCountries(fleet, 20, 500);
  await sendEvents(fleet, 20, 20);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [40, 0]);
  assert.deepEqual([said(fleet, waits), said(fleet, loaded)], [1, 1]);
  const main = (await fleet.progress()).map(({ metadata }) => decodeMetadata(metadata ?? ""));
  assert.ok(main.every((one) => one !== null && one.loadTo === undefined));
});

test("an empty topic of countries is loaded at once", async () => {
  const fleet = new Fleet([joined()]);
  await sendEvents(fleet, 5, 5);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, said(fleet, waits)], [5, 0]);
});

for (const end of ["commit", "abort"] as const)
  test(`markers and records of a transaction that ends by ${end} are no end that never comes`, async () => {
    const fleet = new Fleet([joined()]);
    await sendCountries(fleet, 0, 5);
    const producer = fleet.kafka.port().txProducer({ transactionalId: "t", timeoutMs: 60_000 });
    await fleet.during(producer.init());
    producer.begin();
    await fleet.during(producer.send([record(countries.name, "k5", 6, 0)]));
    await fleet.during(producer[end]());
    await sendEvents(fleet, 12, 6);
    await fleet.join();
    await fleet.drained();
    assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [12, end === "commit" ? 0 : 2]);
    assert.equal(said(fleet, loaded), 1);
  });

test("an open transaction is not waited for: its records are not committed yet", async () => {
  const fleet = new Fleet([joined()]);
  await sendCountries(fleet, 0, 5);
  const producer = fleet.kafka.port().txProducer({ transactionalId: "t", timeoutMs: 600_000 });
  await fleet.during(producer.init());
  producer.begin();
  await fleet.during(producer.send([record(countries.name, "k5", 6, 0)]));
  await sendEvents(fleet, 10, 5);
  await fleet.join();
  await fleet.until("the events are through", () => fleet.values(seen).length === 10);
  assert.equal(nulls(fleet), 0);
});

test("a country that cannot be read is a letter, and waited for like the others", async () => {
  const fleet = new Fleet([joined(true, { haltWhen: "never" })]);
  await sendCountries(fleet, 0, 5);
  await fleet.send(countries.name, [Buffer.from("{")]);
  await sendEvents(fleet, 5, 5);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet), fleet.letters().length], [5, 0, 1]);
});

test("a pipeline that starts at the latest record reads its reference topics from their beginning", async () => {
  const fleet = new Fleet([joined(true, { start: "latest" })]);
  await sendCountries(fleet, 0, 5);
  await sendEvents(fleet, 5, 5);
  await fleet.join();
  await fleet.drained();
  assert.equal(fleet.values(seen).length, 0);
  await sendEvents(fleet, 5, 5);
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [5, 0]);
});

test("the option on a pipeline that has run holds nothing up, and taken away in the midst neither", async () => {
  const fleet = new Fleet([joined(false)], small);
  await sendEvents(fleet, 5, 5);
  const member = await fleet.join();
  await fleet.drained();
  fleet.kafka.crash(member.port);
  await sendCountries(fleet, 0, 100);
  await fleet.join({ plans: [joined().plan()] });
  await fleet.drained();
  assert.equal(said(fleet, waits), 0);
  const other = await diedInTheMidst();
  await other.join({ plans: [joined(false).plan()] });
  await other.drained();
  assert.deepEqual([other.values(seen).length, said(other, waits)], [200, 1]);
});

test("a reference topic that a pipeline reads from now on is loaded while the others wait", async () => {
  const before = pipeline("joined", ({ from }) => {
    from(events)
      .map("e", ({ id, n }) => ({ c: 0, id, e: n }))
      .mapWithState("join", {
        state: json<number>(),
        map: (state: number | null, { e }) => ({ state, emit: [{ id: String(e), n: state ?? 0 }] }),
      })
      .to(seen);
  });
  const fleet = new Fleet([joined()], small);
  const member = await fleet.join({ plans: [before.plan()] });
  await sendEvents(fleet, 4, 4);
  await fleet.until("it has begun", () => fleet.values(seen).length === 4);
  await fleet.during(member.worker.stop());
  await sendCountries(fleet, 0, 50);
  await sendEvents(fleet, 50, 50);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [54, 4]);
});

test("a pipeline that is reset as a whole loads first again", async () => {
  const fleet = new Fleet([joined()], small);
  await sendCountries(fleet, 0, 50);
  await sendEvents(fleet, 50, 50);
  const member = await fleet.join();
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const [plan] = fleet.plans as [Plan];
  const port = fleet.kafka.port();
  const ports = {
    ...{ kafka: port, admin: port.admin(), clock: fleet.clock },
    tableStore: () => assert.fail("no table"),
    stateCopies: () => fleet.copies,
  };
  const whole = { part: null, topic: null, partition: null, target: { kind: "earliest" } } as const;
  const found = await fleet.during(planReset(plan, { ...whole, withState: true }, ports));
  await fleet.during(reset(found, ports));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, nulls(fleet)], [100, 0]);
  assert.deepEqual([said(fleet, waits), said(fleet, loaded)], [2, 2]);
});

test("a reset of the reference topic alone holds nothing up", async () => {
  const passing = pipeline("passing", ({ from }) => {
    from(countries, { loadFirst: true }).merge("both", from(events)).to(seen);
  });
  const fleet = new Fleet([passing], small);
  await sendCountries(fleet, 0, 50);
  const member = await fleet.join();
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const [plan] = fleet.plans as [Plan];
  const port = fleet.kafka.port();
  const ports = {
    ...{ kafka: port, admin: port.admin(), clock: fleet.clock },
    tableStore: () => assert.fail("no table"),
    stateCopies: () => fleet.copies,
  };
  const request = {
    ...{ part: null, topic: countries.name, partition: null, withState: false },
    target: { kind: "earliest" },
  } as const;
  const found = await fleet.during(planReset(plan, request, ports));
  await fleet.during(reset(found, ports));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([fleet.values(seen).length, said(fleet, waits)], [100, 1]);
});

test("a loading that retention has overtaken goes on where the operator puts it, before the others", async () => {
  const fleet = await diedInTheMidst();
  await fleet.deleteRecords(countries.name, 90n);
  const member = await fleet.join();
  const stopped = (): boolean =>
    member.worker
      .health()
      .some((task) => task.state === "stopped" && /OFFSET_GONE/.test(task.code));
  await fleet.until("it stops", stopped);
  await fleet.during(member.worker.stop());
  const [plan] = fleet.plans as [Plan];
  const { ports } = operatorOf(fleet);
  const request = {
    ...{ part: "main", topic: countries.name, partition: 0, withState: false },
    target: { kind: "earliest" },
  } as const;
  await fleet.during(reset(await fleet.during(planReset(plan, request, ports)), ports));
  await fleet.join();
  await fleet.drained();
  const notes = fleet.log.lines.map(({ message }) => message).filter((one) => waits.test(one));
  assert.match(notes.at(-1) ?? "", /loaded first, 90 of 100$/);
  const known = new Set(
    fleet
      .values(seen)
      .filter(({ n }) => n > 90)
      .map(({ n }) => n),
  );
  assert.equal(known.size, 10);
  const ofLast = fleet.values(seen).filter(({ id }) => Number(id) % 100 >= 90);
  assert.ok(ofLast.length === 20 && ofLast.every(({ n }) => n > 0));
});

test("dead letters as the input of a run: those of a reference topic are read where they are, and sent nowhere", async () => {
  const fleet = new Fleet([joined(true, { haltWhen: "never" })]);
  await fleet.send(countries.name, [Buffer.from("{")]);
  await fleet.send(events.name, [Buffer.from("{")]);
  await fleet.join();
  await fleet.drained();
  const { ports } = operatorOf(fleet);
  const [plan] = fleet.plans as [Plan];
  const range = { from: null, to: { kind: "latest" }, fromOffsets: [], toOffsets: [], marginMs: 0 };
  const options = {
    ...{ rate: null, lagLimitMs: 1, workers: 1, follow: false, lettersMax: null },
    source: { kind: "dead-letters" },
  };
  const request = { target: "shadow", range, options } as unknown as RunRequest;
  const runs = { list: () => Promise.resolve([]) };
  const all = { ...ports, runs, tableExists: () => Promise.resolve(false) };
  const planned = await fleet.during(planRun(plan, request, all as unknown as ReprocessPorts));
  assert.deepEqual(planned.row.options.staged, [events.name]);
  assert.deepEqual(
    planned.row.range.places.map(({ topic, from, to }) => [topic, from, to]),
    [[countries.name, 0n, 1n]],
  );
  const staging = stagingTopic(events.name, planned.row.run);
  fleet.kafka.createTopic({ topic: staging, partitions: 1, config: {} });
  const made = all as unknown as ReprocessPorts;
  assert.equal(await fleet.during(fillFromLetters(plan, planned.shadow, made)), 1);
  assert.equal(fleet.kafka.records(staging, { committed: true }).length, 1);
  assert.equal(fleet.kafka.records(countries.name, { committed: true }).length, 1);
});
