// Topics that are made at their first use: nothing waits for them, a command makes what it needs and no more, and workers
// that run take to a redrive topic that appears.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { TopicSpec } from "../../src/engine/core/kafka.ts";
import { MillraceError } from "../../src/engine/core/errors.ts";
import { headerText, type OutRecord } from "../../src/engine/core/record.ts";
import { noteRecord } from "../../src/engine/notes/notes.ts";
import { discard, planDiscard } from "../../src/engine/letters/commands/discard.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { stateRecord } from "../../src/engine/core/redrive.ts";
import { placesOf, redrivePlacesOf } from "../../src/engine/operate/places.ts";
import { isDrained } from "../../src/engine/operate/gate/drained.ts";
import { Fleet } from "../support/fleet.ts";
import {
  everyFifth,
  expectedOf,
  flow,
  madeBy,
  numbers,
  operatorOf,
  planOf,
  range,
  redriveAll,
  redriveBy,
  redriveRecords,
  refused,
  right,
  rule,
  stateCounts,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const lateOf = (fleet: Fleet): readonly boolean[] =>
  planOf(fleet).topics.late.map((topic) => fleet.kafka.hasTopic(topic));

test("without the redrive topic everything runs, and nothing names it or asks for it", async () => {
  const { fleet, member } = await refused(10);
  assert.deepEqual(lateOf(fleet), [false, false, false]);
  const { redrive } = planOf(fleet);
  assert.ok(
    member.worker.health().every(({ state, topic }) => state === "running" && topic !== redrive),
  );
  const { ports } = operatorOf(fleet);
  const plan = planOf(fleet);
  assert.deepEqual(await fleet.during(redrivePlacesOf(plan, plan.parts, ports)), []);
  assert.equal((await fleet.during(placesOf(plan, plan.parts, ports))).length > 0, true);
  assert.equal(await fleet.during(isDrained(plan, ports)), true);
  const { letters, notes } = await fleet.during(readLetters(plan, ports));
  assert.deepEqual([letters.length, notes.size], [2, 0]);
});

test("workers that run read a redrive topic that appears, after one rebalance of each group", async () => {
  const { fleet } = await refused(20);
  await fleet.join();
  await fleet.drained();
  await fleet.clock.advance(30_000);
  const groups = planOf(fleet).parts.map(({ group }) => group);
  const rebalances = (): number[] =>
    groups.map((group) => fleet.meter.counter("millrace_rebalances_total", { group }));
  const before = rebalances();
  assert.equal((await redriveAll(fleet)).sent.length, 4);
  await fleet.sendRecords(numbers(20, 24));
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(24)));
  assert.deepEqual(stateCounts(fleet), { resolved: 4 });
  assert.deepEqual(lateOf(fleet), [true, true, false]);
  await fleet.clock.advance(60_000);
  // Each of the two members counts it.
  assert.deepEqual(
    rebalances().map((count, i) => count - (before[i] ?? 0)),
    groups.map(() => 2),
  );
});

test("a worker that starts with the topic there, and one that dies while it appears, process each letter once", async () => {
  const { fleet, member } = await refused(20);
  await redriveAll(fleet);
  fleet.kafka.crash(member.port);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(20)));
  assert.deepEqual(stateCounts(fleet), { resolved: 4 });
});

test("a command that has nothing to write makes nothing", async () => {
  const fleet = new Fleet([flow]);
  await fleet.join();
  await fleet.sendRecords(numbers(0, 10));
  await fleet.drained();
  assert.deepEqual((await redriveAll(fleet)).sent, []);
  const { ports } = operatorOf(fleet);
  const request = { reason: "none", who: "a test", command: "discard", token: "t" };
  await fleet.during(discard(planOf(fleet), { ...request, isChosen: () => true }, ports));
  assert.deepEqual(lateOf(fleet), [false, false, false]);
});

test("a discard makes the states of letters, and no redrive topic", async () => {
  const { fleet } = await refused(10);
  const { ports } = operatorOf(fleet);
  const plan = planOf(fleet);
  const request = { reason: "JSN-42", who: "a test", command: "discard", token: "t" };
  await fleet.during(discard(plan, { ...request, isChosen: () => true }, ports));
  assert.deepEqual(lateOf(fleet), [true, false, false]);
  // Nor does a redrive that finds no letter to send.
  assert.deepEqual((await redriveAll(fleet)).sent, []);
  assert.deepEqual(lateOf(fleet), [true, false, false]);
  assert.deepEqual((await fleet.during(planDiscard(plan, () => true, ports))).letters, []);
});

test("a user who may not make topics learns which one is missing and how it is made, and nothing was sent", async () => {
  const { fleet } = await refused(10);
  const { ports } = operatorOf(fleet);
  const { admin } = ports;
  const asked: string[] = [];
  const createTopics = (specs: readonly TopicSpec[]): Promise<void> => {
    asked.push(...specs.map(({ topic }) => topic));
    return Promise.reject(
      new MillraceError("MILL_KAFKA_AUTH", "create topic: CLUSTER_AUTHORIZATION_FAILED"),
    );
  };
  // Its own method in front of that of its class.
  Object.assign(admin, { createTopics });
  const operator = { ...operatorOf(fleet), ports };
  const sending = fleet.during(redriveBy(operator, fleet));
  await assert.rejects(sending, (error: unknown) => {
    assert.ok(error instanceof MillraceError);
    assert.equal(error.code, "MILL_KAFKA_AUTH");
    assert.match(error.message, /flow-letter-states with 1 partitions: .*AUTHORIZATION_FAILED/);
    assert.match(error.message, /topics apply --with-redrive/);
    return true;
  });
  assert.deepEqual(asked, [planOf(fleet).letterStates]);
  assert.deepEqual(redriveRecords(fleet), []);
});

/** As 0.1.0 has left it: the last letter of a record in `-parked`, without a word of that in its headers. */
async function parkedBefore(fleet: Fleet): Promise<void> {
  const { parked, deadLetters, letterStates } = planOf(fleet);
  await fleet.makeRedriveTopics();
  fleet.kafka.createTopic({ topic: parked, partitions: 2 });
  const first = fleet.kafka.records(deadLetters, { committed: true })[0];
  assert.ok(first !== undefined);
  const own = (name: string, text: string): [string, Buffer] => [name, Buffer.from(text)];
  const headers = first.headers
    .filter(([name]) => name !== "dlq.redrives" && name !== "dlq.parked")
    .concat([own("dlq.redrives", "3")]);
  const letter: OutRecord = { ...first, topic: parked, headers };
  const id = headerText(first.headers, "dlq.id") ?? "";
  const state = { state: "open", redrives: 3, atMs: 1, parked: true } as const;
  const job = noteRecord(
    letterStates,
    "job",
    JSON.stringify({
      ...{ job: "before", state: "done", chosen: 1, sent: 1, startedMs: 1, atMs: 1 },
    }),
  );
  await fleet.sendRecords([
    letter,
    stateRecord(letterStates, { id: id, generation: 0 }, state),
    job,
  ]);
}

test("letters that 0.1.0 has parked are listed as parked, and go back when they are asked for", async () => {
  const { fleet } = await refused(10);
  await parkedBefore(fleet);
  const { ports } = operatorOf(fleet);
  const { letters } = await fleet.during(readLetters(planOf(fleet), ports));
  assert.deepEqual(letters.map(({ isParked, state }) => [isParked, state.state]).sort(), [
    [false, "open"],
    [true, "open"],
  ]);
  assert.equal((await redriveAll(fleet)).sent.length, 1);
  const { sent } = await redriveAll(fleet, { isChosen: ({ isParked }) => isParked });
  assert.deepEqual(
    sent.map(({ redrives, at }) => [redrives, at.topic]),
    [[4, planOf(fleet).parked]],
  );
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(10)));
  assert.deepEqual(stateCounts(fleet), { resolved: 2 });
});

test("a letter of 0.1.0 that is parked again is one letter, and lies among the others", async () => {
  const { fleet } = await refused(10);
  await parkedBefore(fleet);
  rule.refuses = everyFifth;
  await redriveAll(fleet, { isChosen: ({ isParked }) => isParked, redrivesMax: 4 });
  await fleet.drained();
  const { ports } = operatorOf(fleet);
  const { letters } = await fleet.during(readLetters(planOf(fleet), ports));
  const parked = letters.filter(({ isParked }) => isParked);
  assert.equal(letters.length, 2);
  assert.deepEqual(
    parked.map(({ at, redrives, state }) => [at.topic, redrives, state.state]),
    [[planOf(fleet).deadLetters, 4, "open"]],
  );
});
