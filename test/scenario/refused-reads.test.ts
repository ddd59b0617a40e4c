// Reads that Kafka refuses: a right that is taken away, a group that may not be joined, a topic that is gone. Tasks that need
// it wait, and say so; all else of the worker goes on, and so do they when it is back. Nothing is lost or done twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable } from "#engine";
import { readinessOf } from "../../src/engine/observe/health.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 2);
const output = things("out", 2);
const otherInput = things("other-in", 1);
const otherOutput = things("other-out", 1);
const rowsInput = things("rows-in", 1);

const copy = pipeline("copy", ({ from }) => {
  from(input).to(output);
});
const other = pipeline("other", ({ from }) => {
  from(otherInput).to(otherOutput);
});
const table = postgresTable<Thing>("rows", {
  row: avro<Thing>({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});
const rows = pipeline("rows", ({ from }) => {
  from(rowsInput).upsertInto(table);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: `k${String(n)}`, n }));
const numbers = (values: readonly Thing[]): number[] =>
  values.map(({ n }) => n).sort((a, b) => a - b);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

interface Scene {
  readonly fleet: Fleet;
  readonly member: FleetMember;
  hasEnded(): boolean;
}

async function started(): Promise<Scene> {
  const fleet = new Fleet([copy, other, rows], { breaker: false });
  await fleet.makeRedriveTopics();
  const member = await fleet.join();
  let hasEnded = false;
  void member.worker.ended.then(() => (hasEnded = true));
  await fleet.send(input.name, numbered(1), 0);
  await fleet.send(input.name, numbered(2), 1);
  await fleet.send(rowsInput.name, numbered(1));
  await fleet.drained();
  return { fleet, member, hasEnded: () => hasEnded };
}

const reasons = ({ worker }: FleetMember): string[] => {
  const { isJoined, whyPaused } = worker;
  const facts = {
    isJoined,
    whyPaused,
    passAgeMs: 0,
    passAgeMsMax: 1,
    tasks: worker.health(),
  };
  return [...readinessOf(facts).reasons];
};

const isReady = (member: FleetMember): boolean => reasons(member).length === 0;

const pauses = (fleet: Fleet, pipelineName: string, reason: string): number =>
  fleet.meter.counter("millrace_pauses_total", { pipeline: pipelineName, reason });

/** The neighbour copies one record after another, and each arrives soon. */
async function neighbourGoesOn({ fleet, hasEnded }: Scene): Promise<void> {
  for (const n of upTo(20)) {
    await fleet.send(otherInput.name, numbered(n));
    await fleet.clock.advance(2_000);
    assert.deepEqual(numbers(fleet.values(otherOutput)), upTo(n));
  }
  assert.equal(hasEnded(), false);
}

const group = "copy.main";

for (const [what, close, open, why, reason] of [
  [
    "a source topic",
    (fleet: Fleet) => fleet.kafka.forbidReading(input.name),
    (fleet: Fleet) => fleet.kafka.forbidReading(input.name, false),
    /copy\.main in-0 is paused: .*the topic in needs the right Read/,
    "read-right",
  ],
  [
    "its group",
    (fleet: Fleet) => fleet.kafka.forbidGroup(group),
    (fleet: Fleet) => fleet.kafka.forbidGroup(group, false),
    /copy\.main waits for Kafka: .*join group copy\.main.*the group copy.main needs the right Read/,
    "group-right",
  ],
  [
    "the topic of letters that come back",
    (fleet: Fleet) => fleet.kafka.forbidReading("copy-redrive"),
    (fleet: Fleet) => fleet.kafka.forbidReading("copy-redrive", false),
    /copy\.main waits for Kafka: .*the topic copy-redrive needs the right Read/,
    "read-right",
  ],
] as const)
  test(`a part that may not read ${what} waits, says so, and goes on when it may`, async () => {
    const scene = await started();
    const { fleet, member } = scene;
    close(fleet);
    await fleet.send(input.name, numbered(3, 5), 0);
    await fleet.send(input.name, numbered(4, 6), 1);
    await neighbourGoesOn(scene);
    assert.match(reasons(member).join("\n"), why);
    assert.ok(pauses(fleet, "copy", reason) > 0);
    assert.equal(pauses(fleet, "other", reason), 0);
    const said = fleet.log.lines.filter(({ message }) => message === "paused: reads are refused");
    assert.ok(said.length > 0 && said.length <= 4, String(said.length));
    open(fleet);
    await fleet.drained();
    assert.deepEqual(numbers(fleet.values(output)), upTo(6));
    assert.deepEqual(fleet.letters(), []);
    await fleet.until("it is ready", () => isReady(member));
    const { consumed, emitted } = await fleet.ledger("main");
    assert.deepEqual([consumed, emitted], [26, 26]);
  });

for (const [what, close, open] of [
  [
    "a topic",
    (fleet: Fleet) => fleet.kafka.forbidReading(rowsInput.name),
    (fleet: Fleet) => fleet.kafka.forbidReading(rowsInput.name, false),
  ],
  [
    "a group",
    (fleet: Fleet) => fleet.kafka.forbidGroup("rows.rows"),
    (fleet: Fleet) => fleet.kafka.forbidGroup("rows.rows", false),
  ],
] as const)
  test(`the way to a table that may not read ${what} waits, and goes on when it may`, async () => {
    const scene = await started();
    const { fleet, member } = scene;
    close(fleet);
    await fleet.send(rowsInput.name, numbered(2, 3));
    await neighbourGoesOn(scene);
    assert.match(reasons(member).join("\n"), /rows\..*right Read/);
    open(fleet);
    await fleet.drained();
    assert.deepEqual(fleet.letters(), []);
    assert.ok(isReady(member), reasons(member).join());
  });

test("a source topic that is deleted under way is waited for by name; made anew, it asks for a decision", async () => {
  const scene = await started();
  const { fleet, member } = scene;
  await fleet.during(fleet.kafka.port().admin().deleteTopics([input.name]));
  await neighbourGoesOn(scene);
  assert.match(
    reasons(member).join("\n"),
    /copy\.main in-\d is paused: a topic does not exist: in/,
  );
  assert.ok(pauses(fleet, "copy", "read-topic") > 0);
  fleet.kafka.createTopic({ topic: input.name, partitions: 2 });
  await fleet.until("it asks", () => /RECREATED/.test(reasons(member).join("\n")));
  await neighbourAgain(scene);
});

async function neighbourAgain({ fleet, hasEnded }: Scene): Promise<void> {
  await fleet.send(otherInput.name, numbered(21));
  await fleet.clock.advance(2_000);
  assert.deepEqual(numbers(fleet.values(otherOutput)), upTo(21));
  assert.equal(hasEnded(), false);
}

test("a group that may not be joined at the start ends the start, and names it", async () => {
  const fleet = new Fleet([copy]);
  fleet.kafka.forbidGroup(group);
  await assert.rejects(fleet.join(), /MILL_KAFKA_AUTH|the group copy.main needs the right Read/);
});
