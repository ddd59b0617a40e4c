// What a part brings along from the name that it had before: state, letters wherever they are, and what an operator has said;
// and what it must not take for its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import { asBefore } from "../support/former.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { things, type Thing } from "../support/plans.ts";
import { redriveAll, stateCounts } from "../support/redriving.ts";

const a = things("a", 1);
const b = things("b", 1);
const c = things("c", 1);
const x = things("x", 1);
const y = things("y", 1);
const z = things("z", 1);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });

const row = avro<Thing>({
  type: "record",
  name: "Row",
  fields: [
    { name: "id", type: "string" },
    { name: "n", type: "int" },
  ],
});
const table = postgresTable<Thing>("b", { row, key: ["id"] });

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));
const numbers = (fleet: Fleet, of: Topic<string, Thing>): number[] =>
  fleet.values(of).map(({ n }) => n);
const planOf = (fleet: Fleet): Plan => fleet.plans[0] as Plan;
const use = (fleet: Fleet, version: Pipeline | Plan): void =>
  void Object.assign(fleet, { plans: ["plan" in version ? version.plan() : version] });

/** Whatever the version, every topic is there. */
const all = pipeline("flow", ({ from }) => {
  from(a).to(x);
  from(b).to(y);
  from(c).to(z);
  from(things("d", 1))
    .groupByKey()
    .sum("total", ({ n }) => n)
    .to(sums);
});

/** A worker of the earlier release works the records off, and ends. */
async function worked(fleet: Fleet, plan: Plan): Promise<void> {
  use(fleet, asBefore(plan));
  const { worker } = await fleet.join();
  await fleet.drained();
  await fleet.during(worker.stop());
}

test("state goes on in the part that it is in now", async () => {
  const summing = pipeline("flow", ({ from }) => {
    from(a).to(x);
    from(b)
      .groupByKey()
      .sum("total", ({ n }) => n)
      .to(sums);
  });
  const fleet = new Fleet([summing]);
  const plan = planOf(fleet);
  for (const source of [a, b]) await fleet.send(source.name, numbered(1, 2));
  await worked(fleet, plan);
  use(fleet, plan);
  await fleet.join();
  await fleet.send(b.name, numbered(4));
  await fleet.drained();
  assert.deepEqual(fleet.values(sums), [1, 3, 7]);
  assert.deepEqual(await fleet.ledger("b"), { consumed: 3, emitted: 3 });
});

test("letters that were sent back before are taken once, those on their way too, and open ones go to the part of today", async () => {
  let refuses = (n: number): boolean => n % 2 === 0;
  const ruled = pipeline("flow", { haltWhen: "never" }, ({ from }) => {
    from(a).to(x);
    from(b)
      .expect("odd", ({ n }) => !refuses(n), { otherwise: "dead-letter" })
      .to(y);
  });
  const fleet = new Fleet([ruled]);
  const plan = planOf(fleet);
  await fleet.send(a.name, numbered(1));
  await fleet.send(b.name, numbered(1, 2, 3, 4, 5, 6));
  use(fleet, asBefore(plan));
  const { worker } = await fleet.join();
  await fleet.drained();
  refuses = () => false;
  // Taken by the worker of before.
  await redriveAll(fleet, { isChosen: ({ origin }) => origin.offset === 1n });
  await fleet.drained();
  await fleet.during(worker.stop());
  assert.deepEqual(stateCounts(fleet), { resolved: 1 });
  // On its way, and read by nobody yet.
  await redriveAll(fleet, { isChosen: ({ origin }) => origin.offset === 3n });
  use(fleet, plan);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(numbers(fleet, y), [1, 3, 5, 2, 4]);
  // Still open.
  const { sent, refused } = await redriveAll(fleet);
  assert.deepEqual([sent.map(({ part }) => part), refused], [["b"], []]);
  await fleet.drained();
  assert.deepEqual(numbers(fleet, y), [1, 3, 5, 2, 4, 6]);
  assert.deepEqual(stateCounts(fleet), { resolved: 3 });
});

test("a stream in front takes the name main; the others go on under names of their own, and back", async () => {
  const fleet = new Fleet([all]);
  const two = pipeline("flow", ({ from }) => {
    from(a).to(x);
    from(b).to(y);
  });
  const three = pipeline("flow", ({ from }) => {
    from(c).to(z);
    from(a).to(x);
    from(b).to(y);
  });
  const one = pipeline("flow", ({ from }) => {
    from(b).to(y);
  });
  const versions: readonly (readonly [Pipeline, readonly string[]])[] = [
    [two, ["main", "b"]],
    [three, ["main", "a", "b"]],
    [two, ["main", "b"]],
    [one, ["main"]],
  ];
  await fleet.send(c.name, numbered(100, 101));
  for (const [i, [version, names]] of versions.entries()) {
    use(fleet, version);
    assert.deepEqual(
      planOf(fleet).parts.map(({ name }) => name),
      names,
    );
    for (const source of [a, b]) await fleet.send(source.name, numbered(i));
    const { worker } = await fleet.join();
    await fleet.drained();
    await fleet.during(worker.stop());
  }
  assert.deepEqual(numbers(fleet, x), [0, 1, 2]);
  assert.deepEqual(numbers(fleet, y), [0, 1, 2, 3]);
  assert.deepEqual(numbers(fleet, z), [100, 101]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 4, emitted: 4 });
});

test("a reset before the first start under the new name holds", async () => {
  const fleet = new Fleet([all]);
  const plan = planOf(fleet);
  for (const source of [a, b]) await fleet.send(source.name, numbered(1, 2));
  await worked(fleet, plan);
  use(fleet, plan);
  const argv = ["reset", "flow", "--part", "b", "--to", "shift:-1", "--yes"];
  const { code, out } = await fleetCommand(fleet, offsetsVerb, ["offsets", ...argv]);
  assert.equal(code, 0, out.join("\n"));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(
    [numbers(fleet, x), numbers(fleet, y)],
    [
      [1, 2],
      [1, 2, 2],
    ],
  );
});

test("a reset does not count records twice that were counted under the old name", async () => {
  const fleet = new Fleet([all]);
  const plan = planOf(fleet);
  await fleet.send("d", numbered(1, 2));
  await worked(fleet, plan);
  use(fleet, plan);
  const argv = ["reset", "flow", "--part", "d", "--to", "earliest", "--yes"];
  const { code, err } = await fleetCommand(fleet, offsetsVerb, ["offsets", ...argv]);
  assert.equal(code, 5, err.join("\n"));
});

test("the place of a table that is gone is not that of a part with its name", async () => {
  const before = pipeline("flow", ({ from }) => {
    from(a).to(x);
    from(b).upsertInto(table);
  });
  const beside = pipeline("flow", ({ from }) => {
    from(a).to(x);
    from(b).upsertInto(table);
    from(b).to(y);
  });
  assert.deepEqual(
    beside.plan().parts.map(({ name }) => name),
    ["main", "from-b", "b"],
  );
  const fleet = new Fleet([all]);
  await fleet.send(b.name, numbered(1, 2));
  use(fleet, before);
  const { worker } = await fleet.join();
  await fleet.drained();
  await fleet.during(worker.stop());
  use(fleet, all);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(numbers(fleet, y), [1, 2]);
});

test("where a table takes the name of a part, the part stops rather than beginning again", async () => {
  const beside = pipeline("flow", ({ from }) => {
    from(a).to(x);
    from(b).to(y);
    from(b).upsertInto(table);
  });
  const fleet = new Fleet([all]);
  await fleet.send(b.name, numbered(1, 2));
  const { worker } = await fleet.join();
  await fleet.drained();
  await fleet.during(worker.stop());
  use(fleet, beside);
  const second = await fleet.join();
  await fleet.clock.advance(5_000);
  const stopped = second.worker.health().filter(({ state }) => state === "stopped");
  assert.deepEqual(
    stopped.map((task) => [task.part, "code" in task ? task.code : ""]),
    [["from-b", "MILL_SOURCE_PROGRESS_LOST"]],
  );
  assert.deepEqual(numbers(fleet, y), [1, 2]);
  assert.equal(fleet.tables.rows(table).length, 1);
});
