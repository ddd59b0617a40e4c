// A sink task when its database or its owner fails: rows, letters and progress are one decision of the database; letters
// follow it, and where a task begins is in the database alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable, type Pipeline, type PostgresTable } from "#engine";
import type { TableStore } from "../../src/engine/core/ports.ts";
import { MemoryTables } from "../../src/engine/testing/memory-tables.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const fields = [
  { name: "id", type: "string" },
  { name: "n", type: "int" },
];
const rows: PostgresTable<Thing> = postgresTable<Thing>("rows", {
  row: avro({ type: "record", name: "Row", namespace: "t", fields }),
  key: ["id"],
});
const sink = pipeline("sink", ({ from }) => {
  from(input).upsertInto(rows);
});

/** One row a number. */
const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: `k${String(n)}`, n }));
const stored = (fleet: Fleet): number[] => fleet.tables.rows(rows).map(({ n }) => n as number);
const bad = Buffer.from("{");

async function started(use: Pipeline = sink, prepare: (fleet: Fleet) => void = () => undefined) {
  const fleet = new Fleet([use]);
  prepare(fleet);
  const first = await fleet.join();
  await fleet.drained();
  return { fleet, first };
}

const task = { pipeline: "sink", part: "rows", topic: input.name, partition: 0 };
async function epochOf(fleet: Fleet): Promise<bigint> {
  const progress = await fleet.during(fleet.tables.store(rows).progress(task));
  return progress?.epoch ?? -1n;
}

/** Calls of one method stop before they reach the database, until they are let through. */
class Gate {
  #passing = Promise.withResolvers<void>();
  waiting = 0;
  isShut = false;
  async pass(): Promise<void> {
    if (!this.isShut) return;
    this.waiting++;
    await this.#passing.promise;
    this.waiting--;
  }
  open(): void {
    this.isShut = false;
    this.#passing.resolve();
    this.#passing = Promise.withResolvers<void>();
  }
}

const gated =
  (gate: Gate) =>
  (store: TableStore): TableStore => ({
    ...store,
    commit: async (commit) => {
      await gate.pass();
      return store.commit(commit);
    },
  });

for (const truth of ["applied", "dropped"] as const)
  test(`a COMMIT without a reply that was ${truth} loses and doubles nothing`, async () => {
    const { fleet } = await started();
    fleet.tables.loseNextCommitReply(truth);
    await fleet.send(input.name, [...numbered(1, 2), bad]);
    await fleet.drained();
    await fleet.send(input.name, numbered(3));
    await fleet.drained();
    assert.deepEqual(stored(fleet), [1, 2, 3]);
    assert.deepEqual(
      fleet.letters().map(({ offset }) => offset),
      ["2"],
    );
    const ledger = { consumed: 4, emitted: 3, "dead-lettered": 1 };
    assert.deepEqual(await fleet.ledger("rows"), ledger);
    assert.equal(fleet.meter.counter("millrace_consumed_records_total"), 4);
  });

test("an owner whose task was taken over writes nothing more, even before its successor has written", async () => {
  const gate = new Gate();
  const { fleet, first } = await started(sink, (f) => (f.wrapStore = gated(gate)));
  await fleet.join();
  gate.isShut = true;
  await fleet.send(input.name, numbered(1, 2));
  await fleet.until("the first owner is about to commit", () => gate.waiting === 1);
  fleet.kafka.freeze(first.port);
  const before = await epochOf(fleet);
  await fleet.until("the second is about to commit", () => gate.waiting === 2);
  assert.equal(await epochOf(fleet), before + 1n);
  fleet.kafka.thaw(first.port);
  gate.open();
  await fleet.drained();
  assert.deepEqual(stored(fleet), [1, 2]);
  assert.deepEqual(await fleet.ledger("rows"), { consumed: 2, emitted: 2 });
});

test("a fenced owner that the group still has takes over again", async () => {
  // Without the idle check, which would find out as well, only later.
  const fleet = new Fleet([sink], { idleCheckMs: 3_600_000 });
  const first = await fleet.join();
  await fleet.drained();
  const intruder = fleet.tables.store(rows);
  await fleet.during(intruder.takeOver(task, () => Promise.resolve(0n)));
  await fleet.send(input.name, [...numbered(1, 2), bad]);
  await fleet.drained();
  assert.deepEqual(stored(fleet), [1, 2]);
  assert.equal(fleet.meter.counter("millrace_fenced_total", { kind: "sink" }), 1);
  assert.equal(first.worker.health()[0]?.state, "running");
  const ledger = { consumed: 3, emitted: 2, "dead-lettered": 1 };
  assert.deepEqual(await fleet.ledger("rows"), ledger);
});

test("a letter is sent only after the database has decided", async () => {
  const gate = new Gate();
  const { fleet } = await started(sink, (f) => (f.wrapStore = gated(gate)));
  gate.isShut = true;
  await fleet.send(input.name, [bad]);
  await fleet.until("the commit is under way", () => gate.waiting === 1);
  await fleet.clock.advance(5_000);
  assert.deepEqual(fleet.letters(), []);
  gate.open();
  await fleet.drained();
  assert.equal(fleet.letters().length, 1);
});

test("a letter that was sent is owed no more", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, [bad, ...numbered(1)]);
  await fleet.drained();
  await fleet.during(first.worker.stop());
  await fleet.join();
  await fleet.send(input.name, [bad]);
  await fleet.drained();
  assert.deepEqual(
    fleet.letters().map(({ offset }) => offset),
    ["0", "2"],
  );
});

test("a letter that its owner did not live to send is sent by the next owner", async () => {
  const { fleet, first } = await started();
  const held = fleet.hold(first, "produce");
  await fleet.send(input.name, [bad]);
  await fleet.until("the letter is about to be sent", held.isReached);
  fleet.kafka.crash(first.port);
  assert.deepEqual(fleet.letters(), []);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(
    fleet.letters().map(({ offset }) => offset),
    ["0"],
  );
  assert.deepEqual(await fleet.ledger("rows"), { consumed: 1, "dead-lettered": 1 });
});

test("a row that the database refuses is a letter, and an older row of its key is written", async () => {
  const { fleet } = await started();
  fleet.tables.refuseRows((row) => (row["n"] === 13 ? { code: "23514", message: "check" } : null));
  await fleet.send(input.name, [{ id: "k", n: 12 }, { id: "k", n: 13 }, ...numbered(1)]);
  await fleet.drained();
  assert.deepEqual(stored(fleet), [12, 1]);
  assert.deepEqual(
    fleet.letters().map(({ offset, code }) => [offset, code]),
    [["1", "23514"]],
  );
});

test("a database that came back empty is filled again from the start, whatever the group's offset says", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  fleet.tables = new MemoryTables();
  await fleet.join();
  await fleet.send(input.name, numbered(4));
  await fleet.drained();
  assert.deepEqual(stored(fleet), [1, 2, 3, 4]);
});

test("a failover that took progress back is noticed by a task that has nothing to do", async () => {
  const { fleet } = await started(sink, (f) => {
    f.wrapStore = (_, { declaration }) => {
      const now = (): TableStore => f.tables.store(declaration as PostgresTable<Thing>);
      return {
        takeOver: (...args) => now().takeOver(...args),
        commit: (commit) => now().commit(commit),
        progress: (task) => now().progress(task),
        reset: (...args) => now().reset(...args),
        pendingLetters: (...args) => now().pendingLetters(...args),
        forget: (...args) => now().forget(...args),
      };
    };
  });
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  fleet.tables = new MemoryTables();
  await fleet.until("the rows are back", () => stored(fleet).length === 2);
});

test("the ledger goes on where the last owner left it", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, [...numbered(1, 2), bad]);
  await fleet.drained();
  fleet.kafka.crash(first.port);
  await fleet.join();
  await fleet.send(input.name, numbered(3));
  await fleet.drained();
  const ledger = { consumed: 4, emitted: 3, "dead-lettered": 1 };
  assert.deepEqual(await fleet.ledger("rows"), ledger);
});

test("a database that is away is waited for: no letter, no loss", async () => {
  const { fleet, first } = await started();
  fleet.tables.setAvailable(false);
  await fleet.send(input.name, numbered(1, 2));
  await fleet.until("it says so", () => first.worker.health()[0]?.state === "paused");
  await fleet.clock.advance(60_000);
  fleet.tables.setAvailable(true);
  await fleet.drained();
  assert.deepEqual([stored(fleet), fleet.letters()], [[1, 2], []]);
  assert.equal(first.worker.health()[0]?.state, "running");
});

test("a halted record is neither consumed nor passed by a sink", async () => {
  const strict = pipeline("strict", ({ from }) => {
    from(input)
      .expect("not-negative", (t) => t.n >= 0, { otherwise: "halt" })
      .upsertInto(rows);
  });
  const { fleet, first } = await started(strict);
  await fleet.send(input.name, numbered(1, 2, -3, 4));
  await fleet.until("the task stops", () => first.worker.health()[0]?.state === "stopped");
  await fleet.clock.advance(30_000);
  const [at] = await fleet.progress();
  assert.deepEqual([at?.nextOffset, at?.ledger?.consumed, stored(fleet)], [2n, 2, [1, 2]]);
});

test("a first start at the latest offset is stored before anything is read", async () => {
  const late = pipeline("late", { start: "latest" }, ({ from }) => {
    from(input).upsertInto(rows);
  });
  const fleet = new Fleet([late]);
  await fleet.send(input.name, numbered(1, 2));
  const first = await fleet.join();
  await fleet.clock.advance(1_000);
  fleet.kafka.crash(first.port);
  await fleet.send(input.name, numbered(3, 4));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(stored(fleet), [3, 4]);
});

test("progress below what the topic still has stops the sink instead of skipping the gap", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  await fleet.send(input.name, numbered(2, 3));
  await fleet.deleteRecords(input.name, 2n);
  const { worker } = await fleet.join();
  await fleet.until("the task stops", () => worker.health()[0]?.state === "stopped");
  const [state] = worker.health();
  assert.equal(state?.state === "stopped" && state.code, "MILL_SOURCE_OFFSET_GONE");
  assert.deepEqual(stored(fleet), [1]);
});

test("records that retention takes from under a running sink stop it", async () => {
  const { fleet, first } = await started();
  fleet.kafka.freeze(first.port);
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.deleteRecords(input.name, 2n);
  fleet.kafka.thaw(first.port);
  await fleet.until("the task stops", () => first.worker.health()[0]?.state === "stopped");
  assert.deepEqual(stored(fleet), []);
});
