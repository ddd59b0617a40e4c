// run --until-end: what is there at the start is read and worked off, through every part; then each worker ends by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  avro,
  pipeline,
  postgresTable,
  records,
  percent,
  type Pipeline,
  type PostgresTable,
} from "#engine";
import { exitCodeOf } from "../../src/engine/core/exit-codes.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { UntilEnd } from "../../src/engine/runtime/until-end.ts";
import { callFlow, retry, Service } from "../support/call-flow.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";
import {
  everyFifth,
  expectedOf,
  flow,
  numbers,
  range,
  redriveAll,
  right,
  rowsOf,
  rule,
  stateCounts,
  table,
} from "../support/redriving.ts";

const input = things("in", 2);
const middle = things("middle", 2);
const counts = postgresTable<Thing>("counts", {
  row: avro({
    type: "record",
    name: "Row",
    namespace: "t",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

/** Through an own topic, a new key and the topic of a table. */
const counting: Pipeline = pipeline("counting", { haltWhen: "never" }, ({ from }) => {
  from(input)
    .expect("good", ({ n }) => n >= 0, { otherwise: "dead-letter" })
    .to(middle);
  from(middle)
    .groupBy("by-rest", ({ n }) => String(n % 5))
    .count("per-rest")
    .map("row", (n, { key }) => ({ id: key, n }))
    .upsertInto(counts);
});

const record = (n: number): OutRecord => ({
  ...{ topic: input.name, partition: n % 2, key: Buffer.from(String(n)), headers: [] },
  ...{ value: Buffer.from(JSON.stringify({ id: String(n), n })), timestamp: 1_000 + n },
});
const send = (fleet: Fleet, from: number, to: number): Promise<void> =>
  fleet.sendRecords(Array.from({ length: to - from }, (_, i) => record(from + i)));

const rows = (fleet: Fleet): Thing[] =>
  [...fleet.tables.rows(counts as PostgresTable<unknown>)] as unknown as Thing[];
const total = (fleet: Fleet): number => rows(fleet).reduce((sum, { n }) => sum + n, 0);

/** One more worker that is to come to its end. */
async function joinUntilEnd(fleet: Fleet) {
  const ports = {
    ...{ kafka: fleet.kafka.port(), clock: fleet.clock, log: fleet.log },
    tableStore: ({ declaration }: { declaration: unknown }) =>
      fleet.tables.store(declaration as PostgresTable<unknown>),
  };
  const bounds = new UntilEnd(fleet.plans, ports);
  const member = await fleet.join({ ports: { bounds } });
  bounds.watchOver(member.worker);
  return { ...member, bounds };
}

const ended = async (fleet: Fleet, of: Awaited<ReturnType<typeof joinUntilEnd>>) => {
  assert.equal(await fleet.during(of.worker.ended), null);
  return of.bounds.failure;
};

test("what was there at the start is in the table, and what came later is left", async () => {
  const fleet = new Fleet([counting]);
  await send(fleet, 0, 1_000);
  const worker = await joinUntilEnd(fleet);
  await fleet.clock.advance(10);
  await send(fleet, 1_000, 1_100);
  assert.equal(await ended(fleet, worker), null);
  assert.equal(total(fleet), 1_000);
  const main = (await fleet.progress()).filter(({ topic }) => topic === input.name);
  assert.deepEqual(
    main.map(({ nextOffset }) => nextOffset),
    [500n, 500n],
  );
  // The next one goes on there.
  assert.equal(await ended(fleet, await joinUntilEnd(fleet)), null);
  assert.equal(total(fleet), 1_100);
});

test("with nothing to read it ends at once", async () => {
  const fleet = new Fleet([counting]);
  const worker = await joinUntilEnd(fleet);
  const before = fleet.clock.now();
  assert.equal(await ended(fleet, worker), null);
  assert.ok(fleet.clock.now() - before < 5_000);
});

test("each of several workers ends when its own work is done, and nothing is left or done twice", async () => {
  const fleet = new Fleet([counting]);
  await send(fleet, 0, 2_000);
  const workers = [await joinUntilEnd(fleet), await joinUntilEnd(fleet), await joinUntilEnd(fleet)];
  for (const worker of workers) assert.equal(await ended(fleet, worker), null);
  assert.equal(total(fleet), 2_000);
});

test("a worker that dies leaves its work to the others, which end after it", async () => {
  const fleet = new Fleet([counting]);
  await send(fleet, 0, 2_000);
  const [first, second] = [await joinUntilEnd(fleet), await joinUntilEnd(fleet)];
  fleet.kafka.crash(first.port);
  assert.equal(await ended(fleet, second), null);
  assert.equal(total(fleet), 2_000);
});

test("dead letters do not stop it", async () => {
  const fleet = new Fleet([counting]);
  await send(fleet, 0, 20);
  await fleet.sendRecords([{ ...record(0), value: Buffer.from("{") }, record(-2)]);
  assert.equal(await ended(fleet, await joinUntilEnd(fleet)), null);
  assert.deepEqual([total(fleet), fleet.letters().length], [20, 2]);
});

test("letters that were sent back before the start are worked off too, through every part", async () => {
  for (const use of [flow, table]) {
    const fleet = new Fleet([use]);
    rule.refuses = everyFifth;
    await fleet.sendRecords(numbers(0, 50));
    assert.equal(await ended(fleet, await joinUntilEnd(fleet)), null);
    rule.refuses = right;
    assert.equal((await redriveAll(fleet)).sent.length, 10);
    const worker = await joinUntilEnd(fleet);
    assert.equal(await ended(fleet, worker), null);
    assert.deepEqual(rowsOf(fleet), expectedOf(range(50)).last);
    assert.deepEqual(stateCounts(fleet), { resolved: 10 });
  }
});

test("a stopped task ends it with the task's own error", async () => {
  const halting = pipeline("halting", ({ from }) => {
    from(input)
      .expect("good", ({ n }) => n >= 0, { otherwise: "halt" })
      .to(middle);
  });
  const fleet = new Fleet([halting]);
  await send(fleet, 0, 20);
  await fleet.sendRecords([record(-2)]);
  const failure = await ended(fleet, await joinUntilEnd(fleet));
  assert.equal(failure?.code, "MILL_RULE_HALT");
  assert.match(failure.message, /halting\.main in-0 has stopped: .*good/);
  assert.equal(exitCodeOf(failure), 1);
});

test("a pipeline that its letters halt ends it, and so does one that is halted already", async () => {
  const breaking = pipeline(
    "breaking",
    { haltWhen: { deadLetters: { above: percent(10), per: records(10) } } },
    ({ from }) => {
      from(input)
        .expect("good", ({ n }) => n >= 0, { otherwise: "dead-letter" })
        .to(middle);
    },
  );
  const fleet = new Fleet([breaking]);
  await fleet.sendRecords(Array.from({ length: 40 }, (_, i) => record(-2 * i - 2)));
  for (let i = 0; i < 2; i++) {
    const failure = await ended(fleet, await joinUntilEnd(fleet));
    assert.equal(failure?.code, "MILL_PIPELINE_HALTED");
    assert.match(failure.message, /breaking is halted since .*npx millrace resume breaking/);
    assert.equal(exitCodeOf(failure), 1);
  }
});

test("it waits for keys that are queued for a call, and for what comes of them", async () => {
  const fleet = new Fleet([callFlow(retry("park-key", { attempts: 1_000 }))]);
  let isDown = true;
  fleet.openResource = () =>
    Promise.resolve({
      client: new Service(fleet.clock, () => (isDown ? "fails" : "answers")),
      close: () => Promise.resolve(),
    });
  await fleet.send("asks", [{ n: 0 }, { n: 1 }, { n: 2 }]);
  const worker = await joinUntilEnd(fleet);
  let isOver = false;
  void worker.worker.ended.then(() => (isOver = true));
  await fleet.clock.advance(30_000);
  assert.ok(!isOver);
  isDown = false;
  assert.equal(await ended(fleet, worker), null);
});

test("a server that is away is waited for", async () => {
  const fleet = new Fleet([counting]);
  await send(fleet, 0, 100);
  const worker = await joinUntilEnd(fleet);
  fleet.kafka.setAvailable(false);
  await fleet.clock.advance(60_000);
  fleet.kafka.setAvailable(true);
  assert.equal(await ended(fleet, worker), null);
  assert.equal(total(fleet), 100);
});

test("a part that reads what it writes itself comes to its end", async () => {
  const looking = pipeline("looking", ({ from }) => {
    const all = from(input).merge("both", from(middle));
    all.to(things("out", 2));
    from(input).to(middle);
  });
  const fleet = new Fleet([looking]);
  await send(fleet, 0, 50);
  assert.equal(await ended(fleet, await joinUntilEnd(fleet)), null);
  assert.equal(fleet.kafka.records("out", { committed: true }).length, 100);
});

test("an open transaction in a source is not waited for", async () => {
  const fleet = new Fleet([counting]);
  await send(fleet, 0, 10);
  const producer = fleet.kafka.port().txProducer({ transactionalId: "t", timeoutMs: 600_000 });
  await fleet.during(producer.init());
  producer.begin();
  await fleet.during(producer.send([record(12)]));
  assert.equal(await ended(fleet, await joinUntilEnd(fleet)), null);
  assert.equal(total(fleet), 10);
});
