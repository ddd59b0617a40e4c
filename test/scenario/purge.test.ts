// Repartition topics are purged, and never of a record that somebody may still have to read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable, type PostgresTable } from "#engine";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const flow = pipeline("flow", ({ from }) => {
  from(input)
    .rekey("by-id", (t) => t.id)
    .to(output);
});
const between = "flow-by-id-repartition";

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));

async function marks(fleet: Fleet) {
  const [mark] = await fleet.during(fleet.kafka.port().admin().watermarks(between));
  const at = (await fleet.progress()).find(({ topic }) => topic === between);
  return { low: mark?.low, committed: at?.nextOffset };
}

test("a repartition topic is purged up to committed progress, and not of what was only read", async () => {
  const fleet = new Fleet([flow], { purgeIntervalMs: 5_000 });
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(10_000);
  const before = await marks(fleet);
  assert.ok(before.low !== undefined && before.low >= 3n);
  assert.equal(before.low, before.committed);

  await fleet.send(input.name, numbered(4, 5));
  const there = (): number => fleet.kafka.records(between, { committed: true }).length;
  await fleet.until("the records are repartitioned", () => there() === 2);
  const held = fleet.hold(member, "commit");
  await fleet.until("their commit is under way", held.isReached);
  await fleet.clock.advance(10_000);
  assert.deepEqual(await marks(fleet), before);

  // What the purge left there is all that a successor needs.
  fleet.kafka.crash(member.port);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(
    fleet.values(output).map(({ n }) => n),
    [1, 2, 3, 4, 5],
  );
});

const rows: PostgresTable<Thing> = postgresTable<Thing>("rows", {
  row: avro({ type: "record", name: "Row", fields: [{ name: "id", type: "string" }] }),
  key: ["id"],
});
const stored = pipeline("stored", ({ from }) => {
  from(input)
    .rekey("by-id", (t) => t.id)
    .upsertInto(rows);
});

test("the own topic of a table is never purged, since a failover may take the table back", async () => {
  const fleet = new Fleet([stored], { purgeIntervalMs: 5_000 });
  await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(30_000);
  const kept = fleet.plans.flatMap(({ topics }) =>
    topics.internal
      .filter(({ internal }) => internal === "sink")
      .map(({ name }) => fleet.kafka.records(name, { committed: true }).length),
  );
  assert.deepEqual(kept, [3]);
});

test("a topic of the user is never purged", async () => {
  const fleet = new Fleet([flow], { purgeIntervalMs: 5_000 });
  await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(30_000);
  assert.equal(fleet.kafka.records(input.name, { committed: true }).length, 3);
  assert.equal(fleet.kafka.records(output.name, { committed: true }).length, 3);
});
