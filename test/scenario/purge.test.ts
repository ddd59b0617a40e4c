// Internal topics are purged, and never of a record that somebody may still have to read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable, type PostgresTable } from "#engine";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import type { TableStore } from "../../src/engine/core/ports.ts";
import { MemoryTables } from "../../src/engine/testing/memory-tables.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
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

const limits = { purgeIntervalMs: 5_000, sinkPurgeAfterMs: 60_000 };
const toTable = "stored-rows-sink";

interface Stored {
  readonly fleet: Fleet;
  readonly member: FleetMember;
  /** Where the topic of the table begins. */
  low(): bigint;
}

/** The store is always that of the database of the moment. */
async function storing(): Promise<Stored> {
  const fleet = new Fleet([stored], limits);
  fleet.wrapStore = (_, { declaration }) => {
    const now = (): TableStore => fleet.tables.store(declaration as PostgresTable<Thing>);
    return {
      takeOver: (...args) => now().takeOver(...args),
      commit: (commit) => now().commit(commit),
      progress: (task) => now().progress(task),
      reset: (...args) => now().reset(...args),
      pendingLetters: (...args) => now().pendingLetters(...args),
      forget: (...args) => now().forget(...args),
    };
  };
  const member = await fleet.join();
  const low = (): bigint => fleet.kafka.offsets({ topic: toTable, partition: 0 }).low;
  return { fleet, member, low };
}

test("the own topic of a table is purged behind progress that is old enough, and counted", async () => {
  const { fleet, low } = await storing();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(40_000);
  assert.equal(low(), 0n);
  await fleet.send(input.name, numbered(4));
  await fleet.clock.advance(40_000);
  // The first three are old enough by now, the last one is not.
  assert.equal(fleet.kafka.records(toTable, { committed: true }).length, 1);
  assert.equal(
    fleet.meter.counter("millrace_purged_offsets_total", { topic: toTable }),
    Number(low()),
  );
});

test("the next owner of a task begins to look anew, so nothing goes early", async () => {
  const { fleet, member, low } = await storing();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(40_000);
  fleet.kafka.crash(member.port);
  await fleet.join();
  await fleet.clock.advance(40_000);
  assert.equal(low(), 0n);
  await fleet.clock.advance(60_000);
  assert.ok(low() >= 3n);
});

test("a failover to a copy that is younger than the age loses nothing", async () => {
  const { fleet, low } = await storing();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  fleet.tables = new MemoryTables();
  await fleet.clock.advance(40_000);
  assert.equal(low(), 0n);
  assert.equal(fleet.tables.rows(rows).length, 1);
});

test("a failover that takes all progress back behind what was purged stops the task, and no row is lost in silence", async () => {
  const { fleet, member, low } = await storing();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(120_000);
  assert.ok(low() > 0n);
  fleet.tables = new MemoryTables();
  await fleet.clock.advance(30_000);
  const stopped = (by: FleetMember) =>
    by.worker.health().flatMap((task) => (task.state === "stopped" ? [task.code] : []));
  assert.deepEqual(stopped(member), ["MILL_SOURCE_PROGRESS_LOST"]);
  // A restart does not get over it.
  await fleet.during(member.worker.stop());
  const next = await fleet.join();
  await fleet.clock.advance(10_000);
  assert.deepEqual(stopped(next), ["MILL_SOURCE_PROGRESS_LOST"]);
  await fleet.during(next.worker.stop());
  const argv = [
    "reset",
    "stored",
    "--part",
    "rows",
    "--topic",
    toTable,
    "--to",
    "earliest",
    "--yes",
  ];
  const { code } = await fleetCommand(fleet, offsetsVerb, ["offsets", ...argv]);
  assert.equal(code, 0);
  await fleet.join();
  await fleet.send(input.name, numbered(9));
  await fleet.drained();
  assert.deepEqual(fleet.tables.rows(rows).length, 1);
});

test("a failover that takes progress back behind what was purged stops the task too", async () => {
  const { fleet, member } = await storing();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.clock.advance(120_000);
  const task = { pipeline: "stored", part: "rows", topic: toTable, partition: 0 };
  await fleet.during(fleet.tables.store(rows as PostgresTable<unknown>).reset(task, 1n));
  await fleet.clock.advance(30_000);
  const stopped = member.worker.health().filter(({ state }) => state === "stopped");
  assert.deepEqual(
    stopped.map((one) => ("code" in one ? one.code : "")),
    ["MILL_SOURCE_OFFSET_GONE"],
  );
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
