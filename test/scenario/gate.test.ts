// The gate of a pipeline: what every worker does when it is shut, whenever it joined, and that nothing is lost or done twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic, type Pipeline, type Topic } from "#engine";
import { shutGate } from "../../src/engine/operate/gate/gate.ts";
import { readinessOf } from "../../src/engine/observe/health.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import {
  beforeJoining,
  blind,
  emptied,
  gateOf,
  hasDrained,
  noteOf,
  open,
  operatePorts,
  pointTo,
  shut,
} from "../support/gating.ts";
import { things, type Thing } from "../support/plans.ts";
import { copy, input, numbered, output, sink, sums, summed } from "../support/stopping.ts";

const otherIn = things("other-in", 2);
const otherOut = things("other-out", 2);
const other: Pipeline = pipeline("other", ({ from }) => {
  from(otherIn)
    .map("same", (t: Thing) => t)
    .to(otherOut);
});

const grouped: Topic<string, number> = topic("grouped", {
  key: string,
  value: json<number>(),
  partitions: 2,
  owner: "tests",
});
/** Two parts, with a repartition between them. */
const far: Pipeline = pipeline("far", ({ from }) => {
  from(input)
    .groupBy("by-id", (t) => t.id)
    .sum("total", (t) => t.n)
    .to(grouped);
});

const results: Record<string, (fleet: Fleet) => unknown> = {
  copy: (fleet) => fleet.values(output).map(({ n }) => n),
  summed: (fleet) => fleet.values(sums),
  sink: (fleet) => fleet.ledger("rows"),
};
const exact: Record<string, readonly unknown[]> = {
  copy: [
    [1, 2],
    [1, 2, 3, 4],
  ],
  summed: [
    [1, 3],
    [1, 3, 6, 10],
  ],
  sink: [
    { consumed: 2, emitted: 2 },
    { consumed: 4, emitted: 4 },
  ],
};
const resultOf = async (fleet: Fleet, use: Pipeline): Promise<unknown> =>
  results[use.name]?.(fleet);

const ready = ({ worker }: FleetMember) =>
  readinessOf({
    isJoined: worker.isJoined,
    waitingFor: worker.waitingFor,
    whyPaused: worker.whyPaused,
    passAgeMs: 0,
    passAgeMsMax: 1,
    tasks: worker.health(),
  });

for (const use of [copy, summed, sink])
  test(`${use.name}: closed, the pipeline commits and leaves its groups; opened, it goes on, each record once`, async () => {
    const fleet = new Fleet([use, other]);
    const members = [await fleet.join(), await fleet.join()];
    await fleet.send(input.name, numbered(1, 2));
    await fleet.drained();
    await shut(fleet, "closed", use.name);
    await emptied(fleet, use.name);
    assert.deepEqual(await resultOf(fleet, use), exact[use.name]?.[0]);
    await fleet.send(input.name, numbered(3, 4));
    await fleet.send(otherIn.name, numbered(7));
    await fleet.clock.advance(30_000);
    assert.deepEqual(await resultOf(fleet, use), exact[use.name]?.[0]);
    assert.deepEqual(
      fleet.values(otherOut).map(({ n }) => n),
      [7],
      "another pipeline of the worker goes on",
    );
    for (const member of members) {
      const { ok, reasons } = ready(member);
      assert.equal(ok, false);
      assert.match(
        reasons.join(),
        new RegExp(`${use.name} is closed since \\d{4}-.* run 7 is being promoted`),
      );
    }
    await open(fleet, use.name);
    await fleet.drained();
    assert.deepEqual(await resultOf(fleet, use), exact[use.name]?.[1]);
    for (const member of members) assert.deepEqual(ready(member).reasons, []);
  });

for (const use of [copy, summed, sink])
  test(`${use.name}: a rebalance after the gate was shut reads nothing more, whatever was known before`, async () => {
    const fleet = new Fleet([use], blind);
    const first = await fleet.join();
    await fleet.send(input.name, numbered(1, 2));
    await fleet.drained();
    await shut(fleet, "closed");
    // Nobody has looked: it goes on, as a member that everybody can see.
    await fleet.clock.advance(5_000);
    assert.equal(first.worker.isJoined, true);
    fleet.kafka.rebalance(use.plan().parts[0]?.group ?? "");
    await emptied(fleet);
    await fleet.send(input.name, numbered(3, 4));
    await fleet.clock.advance(30_000);
    assert.deepEqual(await resultOf(fleet, use), exact[use.name]?.[0]);
  });

for (const use of [copy, sink])
  test(`${use.name}: the gate is shut after a worker has looked and before it has joined: it reads nothing`, async () => {
    const fleet = new Fleet([use], blind);
    await fleet.send(input.name, numbered(1, 2));
    const joins = beforeJoining(fleet, () =>
      shutGate(use.plan(), noteOf(fleet, "closed"), { ports: operatePorts(fleet) }),
    );
    await fleet.join();
    await emptied(fleet);
    await fleet.clock.advance(20_000);
    assert.equal(joins(), 1);
    const consumed = (await fleet.progress()).map(({ ledger }) => ledger?.consumed ?? 0);
    assert.ok(consumed.every((n) => n === 0));
  });

test("a worker that starts while the gate is shut joins nothing, and joins when it opens", async () => {
  const fleet = new Fleet([copy]);
  await shut(fleet, "halted");
  await fleet.send(input.name, numbered(1, 2));
  const { worker } = await fleet.join();
  await fleet.clock.advance(30_000);
  assert.deepEqual([worker.health(), fleet.values(output)], [[], []]);
  await open(fleet);
  await fleet.drained();
  assert.deepEqual(await resultOf(fleet, copy), exact["copy"]?.[0]);
  await fleet.during(worker.stop());
});

test("a worker stops while its pipeline waits", async () => {
  const fleet = new Fleet([copy]);
  await shut(fleet, "closed");
  const { worker } = await fleet.join();
  await fleet.clock.advance(3_000);
  await fleet.during(worker.stop());
  assert.equal(await fleet.during(worker.ended), null);
});

test("draining, nothing more is taken from topics of others, and what was taken goes through to its end", async () => {
  const fleet = new Fleet([far]);
  const members = [await fleet.join(), await fleet.join()];
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  await shut(fleet, "draining");
  await fleet.clock.advance(3_000);
  await fleet.send(input.name, numbered(3, 4));
  await fleet.clock.advance(10_000);
  assert.deepEqual(fleet.values(grouped), [1, 3]);
  assert.equal(await hasDrained(fleet), true);
  assert.match(members[0] === undefined ? "" : ready(members[0]).reasons.join(), /far is draining/);
  // Held by a takeover too.
  for (const { group } of far.plan().parts) fleet.kafka.rebalance(group);
  await fleet.join();
  await fleet.clock.advance(10_000);
  assert.deepEqual(fleet.values(grouped), [1, 3]);
  await open(fleet);
  await fleet.drained();
  assert.deepEqual(fleet.values(grouped), [1, 3, 6, 10]);
});

test("draining, own topics are read on: what lies in them is worked off", async () => {
  const fleet = new Fleet([far]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  await fleet.during(member.worker.stop());
  const [main, behind] = far.plan().parts;
  assert.ok(main !== undefined && behind !== undefined);
  // As if the first part had been ahead of the second one.
  const [record] = fleet.kafka.records(behind.sources[0]?.name ?? "", { committed: true });
  assert.ok(record !== undefined);
  await fleet.sendRecords([record, record]);
  await shut(fleet, "draining");
  assert.equal(await hasDrained(fleet), false);
  await fleet.send(input.name, numbered(50));
  await fleet.join();
  for (let i = 0; !(await hasDrained(fleet)); i++) {
    assert.ok(i < 60, "it never drains");
    await fleet.clock.advance(500);
  }
  assert.deepEqual(fleet.values(grouped), [1, 3, 4, 5]);
});

test("closed behind draining, markers of the last commits are no records: the pipeline is drained", async () => {
  const fleet = new Fleet([far]);
  await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.until("something is on its way", () => fleet.values(grouped).length > 0);
  await shut(fleet, "draining");
  await fleet.clock.advance(5_000);
  await shut(fleet, "closed");
  await emptied(fleet);
  assert.equal(await hasDrained(fleet), true);
  // A marker alone, behind what the second part has decided.
  const source = far.plan().parts[1]?.sources[0]?.name ?? "";
  const producer = fleet.kafka.port().txProducer({ transactionalId: "t", timeoutMs: 10_000 });
  const marker = async (): Promise<void> => {
    await producer.init();
    producer.begin();
    await producer.send([
      { topic: source, partition: 0, key: null, value: null, headers: [], timestamp: 1 },
    ]);
    await producer.abort();
  };
  await fleet.during(marker());
  assert.equal(await hasDrained(fleet), true);
});

test("who does not hold the gate neither shuts nor opens it, unless told to", async () => {
  const fleet = new Fleet([copy]);
  const ports = operatePorts(fleet);
  await shut(fleet, "draining");
  await shut(fleet, "closed");
  const stranger = shutGate(copy.plan(), noteOf(fleet, "draining", "promote of run 8"), { ports });
  await assert.rejects(fleet.during(stranger), { code: "MILL_GATE_HELD" });
  assert.equal((await gateOf(fleet))?.owner, "promote of run 7");
  const forced = { ports, force: true };
  await fleet.during(shutGate(copy.plan(), noteOf(fleet, "draining", "promote of run 8"), forced));
  await assert.rejects(open(fleet), { code: "MILL_GATE_HELD" });
  assert.equal((await gateOf(fleet))?.state, "draining");
});

test("a state that only a later release knows is taken for closed", async () => {
  const fleet = new Fleet([copy]);
  const note = { ...noteOf(fleet, "closed"), state: "resting" };
  const value = Buffer.from(JSON.stringify(note));
  const at = { topic: copy.plan().meta, partition: 0, headers: [], timestamp: 0 };
  await fleet.sendRecords([{ ...at, key: Buffer.from("gate"), value }]);
  await fleet.send(input.name, numbered(1));
  await fleet.join();
  await fleet.clock.advance(10_000);
  assert.deepEqual(fleet.values(output), []);
});

test("what is missing when the gate opens is told, and the pipeline goes on when it is there", async () => {
  const fleet = new Fleet([summed]);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  await shut(fleet, "closed");
  await emptied(fleet);
  await pointTo(fleet, 7);
  await open(fleet);
  await fleet.clock.advance(5_000);
  assert.match(
    ready(member).reasons.join(),
    /summed cannot go on: MILL_TOPIC_MISSING .*summed-r7-total-changelog/,
  );
  const config = { "cleanup.policy": "compact", "delete.retention.ms": "604800000" };
  fleet.kafka.createTopic({ topic: "summed-r7-total-changelog", partitions: 2, config });
  await fleet.clock.advance(20_000);
  assert.deepEqual(ready(member).reasons, []);
});
