// Letters that go back: to the task that refused them, once, in order, and what becomes of them is decided with their
// outputs. The tables are those of a run that had the right rule from the start.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline } from "#engine";
import { resumeVerb } from "../../src/cli/resume.ts";
import { headerText } from "../../src/engine/core/record.ts";
import { redriveHeaders, stateRecord } from "../../src/engine/core/redrive.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import type { Thing } from "../support/plans.ts";
import {
  everyFifth,
  expectedOf,
  flow,
  input,
  keyOf,
  madeBy,
  numbers,
  operatorOf,
  output,
  planOf,
  range,
  redriveAll,
  redriveRecords,
  refused,
  right,
  rows,
  rowsOf,
  rule,
  stateCounts,
  statesOf,
  table,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

test("what a wrong rule refused is redriven when it is mended, and all is as if it had been right from the start", async () => {
  const { fleet } = await refused();
  assert.equal(fleet.letters().length, 20);
  const { sent, refused: not } = await redriveAll(fleet);
  assert.deepEqual([sent.length, not.length], [20, 0]);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(100)));
  assert.deepEqual(stateCounts(fleet), { resolved: 20 });
  const told = [...statesOf(fleet).values()].map(({ outcome, redrives }) => [outcome, redrives]);
  assert.deepEqual(told, Array(20).fill(["emitted", 1]));
  // A redriven record was consumed twice, and each time it had one outcome.
  const ledger = { consumed: 120, emitted: 100, "dead-lettered": 20 };
  assert.deepEqual(await fleet.ledger("main"), ledger);
});

test("a record goes back as it was: key, value, headers, time, and the place where it was first read", async () => {
  const { fleet } = await refused(10);
  await redriveAll(fleet);
  await fleet.drained();
  const made = fleet.kafka.records(output.name, { committed: true });
  const five = made.find(({ value }) => (JSON.parse(String(value)) as Thing).n === 5);
  assert.ok(five !== undefined);
  assert.deepEqual(five.headers, [["trace", Buffer.from("5")]]);
  assert.deepEqual([String(five.key), five.timestamp], [keyOf(5), 1_005]);
});

test("letters of one key go back in the order of their records", async () => {
  const { fleet } = await refused(400);
  await redriveAll(fleet);
  await fleet.drained();
  for (const key of new Set(range(7).map(keyOf))) {
    const back = fleet
      .values(output)
      .filter(({ id, n }) => id === key && n % 5 === 0)
      .map(({ n }) => n);
    assert.ok(back.length > 5);
    assert.deepEqual(
      back,
      [...back].sort((a, b) => a - b),
      key,
    );
  }
});

test("a letter goes to the partition of its origin", async () => {
  const { fleet } = await refused(100);
  await redriveAll(fleet);
  const back = redriveRecords(fleet);
  assert.deepEqual([...new Set(back.map(({ partition }) => partition))].sort(), [0, 1]);
  for (const { partition, headers } of back)
    assert.equal(String(partition), headerText(headers, "dlq.partition"));
});

test("each part takes its own letters, and passes over those of others", async () => {
  rule.refuses = everyFifth;
  const fleet = new Fleet([flow]);
  fleet.tables.refuseRows(({ n }) =>
    Number(n) % 7 === 1 ? { code: "23514", message: "check" } : null,
  );
  await fleet.join();
  await fleet.sendRecords(numbers(0, 100));
  await fleet.drained();
  rule.refuses = right;
  fleet.tables.refuseRows(() => null);
  const { letters } = await fleet.during(readLetters(planOf(fleet), operatorOf(fleet).ports));
  const ofSink = letters.filter(({ part }) => part === "rows").length;
  assert.ok(ofSink > 0 && letters.length > ofSink);
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(100)));
  assert.deepEqual(stateCounts(fleet), { resolved: letters.length });
  const consumed = [
    (await fleet.ledger("main"))["consumed"],
    (await fleet.ledger("rows"))["consumed"],
  ];
  assert.deepEqual(consumed, [100 + letters.length - ofSink, 100 + ofSink]);
});

test("what fails again is the same letter once more, and open again", async () => {
  const { fleet } = await refused(10);
  rule.refuses = everyFifth;
  await redriveAll(fleet);
  await fleet.drained();
  const ids = fleet.letters().map(({ id }) => id);
  assert.equal(ids.length, 4);
  assert.equal(new Set(ids).size, 2);
  assert.deepEqual(stateCounts(fleet), { open: 2 });
  const { letters } = await fleet.during(readLetters(planOf(fleet), operatorOf(fleet).ports));
  assert.deepEqual(
    letters.map(({ redrives, state }) => [redrives, state.state, state.outcome]),
    Array(2).fill([1, "open", "MILL_RULE_BROKEN"]),
  );
  assert.deepEqual(madeBy(fleet).out, [1, 2, 3, 4, 6, 7, 8, 9]);
});

test("after as many redrives as are allowed a letter is parked, and only who asks for parked ones takes it again", async () => {
  const { fleet } = await refused(10);
  rule.refuses = everyFifth;
  for (let i = 0; i < 2; i++) {
    assert.equal((await redriveAll(fleet, { redrivesMax: 2 })).sent.length, 2);
    await fleet.drained();
  }
  const letters = fleet.kafka.records(planOf(fleet).deadLetters, { committed: true });
  const parked = letters.filter(({ headers }) => headerText(headers, "dlq.parked") === "true");
  assert.deepEqual([letters.length, parked.length], [6, 2]);
  assert.deepEqual(
    [...statesOf(fleet).values()].map(({ state, parked: is }) => [state, is]),
    [
      ["open", true],
      ["open", true],
    ],
  );
  rule.refuses = right;
  assert.equal((await redriveAll(fleet)).sent.length, 0);
  assert.equal((await redriveAll(fleet, { isChosen: ({ isParked }) => isParked })).sent.length, 2);
  await fleet.drained();
  assert.deepEqual(stateCounts(fleet), { resolved: 2 });
  assert.deepEqual(madeBy(fleet), expectedOf(range(10)));
});

test("a letter is sent back once, however often a redrive is asked for", async () => {
  const { fleet, member } = await refused();
  await fleet.during(member.worker.stop());
  assert.equal((await redriveAll(fleet)).sent.length, 20);
  assert.equal((await redriveAll(fleet)).sent.length, 0);
  await fleet.join();
  await fleet.drained();
  assert.equal((await redriveAll(fleet)).sent.length, 0);
  assert.equal(redriveRecords(fleet).length, 20);
  assert.deepEqual(madeBy(fleet), expectedOf(range(100)));
});

test("a redriven row does not go over a newer one, and ties fall as if it had passed at first", async () => {
  rule.refuses = ({ n }) => n === 1 || n === 10;
  const fleet = new Fleet([table]);
  await fleet.join();
  // All at one time: the offset decides. 1 is older than 8, and 10 is the newest of its key.
  const all = numbers(1, 11).map((record) => ({ ...record, timestamp: 1_000 }));
  await fleet.sendRecords(all);
  await fleet.drained();
  rule.refuses = right;
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(rowsOf(fleet), expectedOf(range(11).slice(1)).last);
  const outcomes = [...statesOf(fleet).values()].map(({ outcome }) => outcome).sort();
  assert.deepEqual(outcomes, ["emitted", "superseded"]);
  assert.deepEqual(await fleet.ledger("rows"), {
    consumed: 12,
    emitted: 9,
    superseded: 1,
    "dead-lettered": 2,
  });
});

test("a row that the database refuses again is the same letter, open again", async () => {
  const fleet = new Fleet([table]);
  fleet.tables.refuseRows(({ n }) => (n === 3 ? { code: "23514", message: "check" } : null));
  await fleet.join();
  await fleet.sendRecords(numbers(0, 5));
  await fleet.drained();
  for (const redrives of [1, 2]) {
    await redriveAll(fleet);
    await fleet.drained();
    assert.deepEqual(
      [...statesOf(fleet).values()].map((state) => [state.state, state.redrives]),
      [["open", redrives]],
    );
  }
  fleet.tables.refuseRows(() => null);
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(stateCounts(fleet), { resolved: 1 });
  assert.deepEqual(rowsOf(fleet), expectedOf(range(5)).last);
});

test("a letter that stops a table's task stops its way back alone, until it is resumed", async () => {
  let halts = false;
  const use = pipeline("halting", { haltWhen: "never" }, ({ from }) => {
    from(input)
      .expect("fits", (thing) => !rule.refuses(thing), { otherwise: "dead-letter" })
      .expect("stands", ({ n }) => !(halts && n === 5), { otherwise: "halt" })
      .upsertInto(rows);
  });
  rule.refuses = ({ n }) => n === 5;
  const fleet = new Fleet([use]);
  const { worker } = await fleet.join();
  await fleet.sendRecords(numbers(0, 10));
  await fleet.drained();
  rule.refuses = right;
  halts = true;
  await redriveAll(fleet);
  const stopped = () => worker.health().filter(({ state }) => state === "stopped");
  await fleet.until("it stops", () => stopped().length > 0);
  assert.deepEqual(
    stopped().map(({ topic }) => topic),
    ["halting-redrive"],
  );
  await fleet.sendRecords(numbers(10, 20));
  await fleet.clock.advance(15_000);
  assert.equal(rowsOf(fleet)[keyOf(19)], 19);
  halts = false;
  const resume = (...argv: readonly string[]) =>
    fleetCommand(fleet, resumeVerb, ["resume", "halting", ...argv]);
  const { code, out } = await resume();
  assert.equal(code, 0, out.join("\n"));
  assert.match(out.at(-1) ?? "", /^rows halting-redrive-1 runs again$/);
  await fleet.drained();
  assert.deepEqual(stateCounts(fleet), { resolved: 1 });
  assert.deepEqual((await resume("--dry-run")).err, ["Nothing has stopped."]);
});

test("what was redriven before a task first looked at its redrive partition is not passed over", async () => {
  const use = pipeline("late", { start: "latest" }, ({ from }) => {
    from(input).to(output);
  });
  const fleet = new Fleet([use]);
  await fleet.makeRedriveTopics();
  const origin = { topic: input.name, partition: 1, offset: 7n, timestamp: 1_007 };
  const order = { id: "an-id", part: "main", origin, redrives: 1, redrivesMax: 3 };
  const headers = redriveHeaders({ ...order, firstTime: null, job: "job" });
  const [record] = numbers(7, 8);
  assert.ok(record !== undefined);
  const state = { state: "redriven", redrives: 1, atMs: 1, job: "job" } as const;
  await fleet.sendRecords([
    stateRecord(planOf(fleet).letterStates, { id: "an-id", generation: 0 }, state),
    { ...record, topic: planOf(fleet).redrive, partition: 1, headers },
  ]);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(fleet.values(output), [{ id: keyOf(7), n: 7 }]);
});

test("a letter whose part does not read its topic any more is refused, and says why", async () => {
  const { fleet } = await refused(10);
  const plan = planOf(fleet);
  const parts = plan.parts.map((part) => ({
    ...part,
    name: `new-${part.name}`,
    sources: part.sources.map((topic) => ({ ...topic, name: `new-${topic.name}` })),
  }));
  Object.assign(fleet, { plans: [{ ...plan, parts }] });
  const { sent, refused: not } = await redriveAll(fleet);
  assert.equal(sent.length, 0);
  assert.deepEqual(
    not.map(({ why }) => why),
    Array(2).fill("the pipeline has no part main any more"),
  );
  assert.equal(redriveRecords(fleet).length, 0);
});

test("a record of the redrive topic that no command has written is a letter of one part", async () => {
  const { fleet } = await refused(10);
  await fleet.makeRedriveTopics();
  const junk = { topic: planOf(fleet).redrive, partition: 0, key: null, value: null };
  await fleet.sendRecords([{ ...junk, headers: [], timestamp: 0 }]);
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(10)));
  assert.equal((await fleet.ledger("main"))["consumed"], 13);
  const codes = fleet.letters().map(({ code }) => code);
  assert.equal(codes.filter((code) => code === "MILL_REDRIVE_UNPROVEN").length, 1);
});
