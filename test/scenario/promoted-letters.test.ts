// Letters when a run of the reprocessor takes the live pipeline's place: their records were read by the run, so none that it
// took may come back, neither by a redrive that is at work nor by a later one, until the run gives the place back. What it
// refused is to be redriven like any other letter.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { OperatePorts } from "../../src/engine/operate/choice.ts";
import { discard } from "../../src/engine/letters/commands/discard.ts";
import type { FoundLetter } from "../../src/engine/letters/found-letter.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { beginReset } from "../../src/engine/letters/commands/generation.ts";
import { isDrained } from "../../src/engine/operate/gate/drained.ts";
import { openGate, shutGate } from "../../src/engine/operate/gate/gate.ts";
import { shadowOf } from "../../src/engine/reprocess/plan/shadow.ts";
import { giveBackLetters, takeOverLetters } from "../../src/engine/reprocess/promote/letters.ts";
import type { ShutState } from "../../src/engine/notes/gate-note.ts";
import { Fleet } from "../support/fleet.ts";
import {
  input,
  numbers,
  operatorOf,
  output,
  planOf,
  redriveAll,
  refused,
  right,
  rows,
  rule,
  stateCounts,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const shut = (fleet: Fleet, state: ShutState): Promise<void> => {
  const { ports } = operatorOf(fleet);
  const facts = { code: "MILL_GATE_HELD", message: "a run takes its place", atMs: 1 };
  return fleet.during(
    shutGate(planOf(fleet), { ...facts, state, by: "promote", owner: "r1" }, { ports }),
  );
};

/** What a rule behind a topic of the pipeline's own refuses now. */
const behind: { refuses: (n: number) => boolean } = { refuses: right };

const shop: Pipeline = pipeline("shop", { haltWhen: "never" }, ({ from }) => {
  from(input)
    .expect("fits", (thing) => !rule.refuses(thing), { otherwise: "dead-letter" })
    .to(output);
  from(output)
    .expect("sells", ({ n }) => !behind.refuses(n), { otherwise: "dead-letter" })
    .upsertInto(rows);
});
const livePlan = shop.plan();
const [shadow, later] = [1, 2].map((run) =>
  shadowOf(livePlan, { run, target: "shadow", staged: [], pins: new Map() }),
) as [Plan, Plan];
const asPipeline = (plan: Plan): Pipeline => ({ ...shop, name: plan.pipeline, plan: () => plan });

const refuse = (first: readonly number[], second: readonly number[]): void => {
  rule.refuses = ({ n }) => first.includes(n);
  behind.refuses = (n) => second.includes(n);
};

/** The states of the letters of each number; of one behind the pipeline's own topic live and the run have one each. */
async function letters(fleet: Fleet): Promise<Record<number, string>> {
  const { ports } = operatorOf(fleet);
  const found = await fleet.during(readLetters(livePlan, ports, () => true));
  const byNumber: Record<number, string> = {};
  for (const { record, state } of found.letters) {
    const { n } = JSON.parse(String(record?.value)) as { readonly n: number };
    const known = byNumber[n];
    byNumber[n] = [...(known === undefined ? [] : [known]), state.state].sort().join(", ");
  }
  return byNumber;
}

/** Live has refused six of forty records, of which one was redriven and one given up; a run reads them with other rules. */
async function beforePromotion(): Promise<Fleet> {
  const fleet = new Fleet([shop, asPipeline(shadow), asPipeline(later)]);
  refuse([0, 10, 20, 30], [7, 9]);
  await fleet.join({ plans: [livePlan] });
  await fleet.sendRecords(numbers(0, 40));
  await fleet.clock.advance(5_000);
  refuse([0, 10], [7, 9]);
  const isOf = (n: number) => (letter: Omit<FoundLetter, "record">) =>
    letter.origin.timestamp === 1_000 + n;
  await redriveAll(fleet, { isChosen: isOf(20) });
  await fleet.clock.advance(20_000);
  const { ports } = operatorOf(fleet);
  const useless = { isChosen: isOf(30), reason: "of no use", who: "a test" };
  await fleet.during(discard(livePlan, { ...useless, command: "discard", token: "t" }, ports));
  const before = { 0: "open", 7: "open", 9: "open", 10: "open", 20: "resolved", 30: "discarded" };
  assert.deepEqual(await letters(fleet), before);
  refuse([3, 10, 20, 30], [8, 9]);
  await reads(fleet, shadow);
  return fleet;
}

/** A run reads everything. */
async function reads(fleet: Fleet, run: Plan): Promise<void> {
  const { worker } = await fleet.join({ plans: [run] });
  await fleet.clock.advance(5_000);
  await fleet.during(worker.stop());
}

const [{ name: first } = { name: "" }] = livePlan.parts;
/** All of the input, which has forty records. */
const places = [0, 1].map((partition) => ({
  ...{ part: first, topic: input.name, partition },
  ...{ from: 0n, to: 40n },
}));
/** Live was stopped at the end of everything; of its own topic that is somewhere behind the letters. */
const positions = livePlan.parts.flatMap(({ name: part, sources }) =>
  sources.flatMap(({ name: topic }) =>
    [0, 1].map((partition) => {
      const isForeign = topic === input.name;
      return { part, topic, partition, nextOffset: 40n, isForeign };
    }),
  ),
);
const succession = { plan: livePlan, shadow, run: 1, places, positions };
const taken = {
  ...{ 0: "over", 7: "over", 30: "discarded" },
  ...{ 3: "open", 8: "open", 10: "open", 20: "open" },
  9: "open, over",
};
const given = {
  ...{ 0: "open", 7: "open", 10: "open", 20: "resolved", 30: "discarded" },
  9: "open",
};

test("what a run has taken is over, what it has refused is open, and all is as before when it gives the place back", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  for (let twice = 0; twice < 2; twice++) {
    await fleet.during(takeOverLetters(succession, ports));
    assert.deepEqual(await letters(fleet), taken);
  }
  await fleet.during(giveBackLetters({ ...succession, run: 2 }, ports));
  assert.deepEqual(await letters(fleet), taken, "those of another run stay as they are");
  for (let twice = 0; twice < 2; twice++) {
    await fleet.during(giveBackLetters(succession, ports));
    assert.deepEqual(await letters(fleet), given);
  }
});

test("a second promotion on top of the first takes over what that one has left, and gives it back", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  await fleet.during(takeOverLetters(succession, ports));
  refuse([0, 3, 30], [9]);
  await reads(fleet, later);
  await fleet.during(takeOverLetters({ ...succession, shadow: later, run: 2 }, ports));
  assert.deepEqual(await letters(fleet), {
    ...{ 0: "open", 3: "open", 7: "over", 8: "over", 9: "open, over, over", 10: "over" },
    ...{ 20: "over", 30: "discarded" },
  });
  await fleet.during(giveBackLetters({ ...succession, run: 2 }, ports));
  assert.deepEqual(await letters(fleet), taken);
  await fleet.during(giveBackLetters(succession, ports));
  assert.deepEqual(await letters(fleet), given);
});

test("a letter that went with a reset is open again when the run has refused its record", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  const readings = places.map((at) => ({ ...at, stopped: 40n }));
  const resetting = { readings, hasOtherStores: false, skipped: [] };
  const positions = () => Promise.resolve(new Map<string, bigint>());
  await fleet.during(beginReset(livePlan, { ...resetting, positions }, ports));
  const over = { 0: "over", 10: "over", 20: "over", 30: "over" };
  assert.deepEqual(await letters(fleet), { ...given, ...over });
  await fleet.during(takeOverLetters(succession, ports));
  // The record of 30 was to be read again after it had been given up, so its letter is a new one.
  assert.deepEqual(await letters(fleet), { ...taken, 30: "open" });
  await fleet.during(giveBackLetters(succession, ports));
  assert.deepEqual(await letters(fleet), { ...given, ...over });
});

test("what lies outside of the run's range it has not taken", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  // 0 is the first record of its partition; behind the topic of its own it cannot be told.
  const late = places.map((place) => ({ ...place, from: 1n }));
  await fleet.during(takeOverLetters({ ...succession, places: late }, ports));
  assert.deepEqual(await letters(fleet), { ...taken, 0: "open", 7: "open", 9: "open, open" });
});

test("an undo that is done twice leaves what an earlier promotion had brought along", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  await fleet.during(takeOverLetters(succession, ports));
  refuse([3, 10, 20], [8, 9]);
  await reads(fleet, later);
  await fleet.during(takeOverLetters({ ...succession, shadow: later, run: 2 }, ports));
  for (let twice = 0; twice < 2; twice++) {
    await fleet.during(giveBackLetters({ ...succession, run: 2 }, ports));
    const found = await letters(fleet);
    assert.deepEqual([found[3], found[8]], ["open", "open"]);
  }
});

test("letters of a run come into a dead-letter topic of fewer partitions too", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  const { deadLetters: topic } = livePlan;
  await fleet.during(ports.admin.deleteTopics([topic]));
  fleet.kafka.createTopic({ topic, partitions: 1 });
  const { refused: count } = await fleet.during(takeOverLetters(succession, ports));
  assert.equal(count, 6);
  assert.equal(fleet.kafka.records(topic, { committed: true }).length, count);
});

/** Whether the process died at the n-th request of its work. */
async function isKilledAt(
  n: number,
  fleet: Fleet,
  work: (ports: OperatePorts) => Promise<unknown>,
): Promise<boolean> {
  const { ports, life } = operatorOf(fleet);
  let count = 0;
  fleet.watcher = ({ worker }) => {
    if (worker === life && ++count === n) life.crash();
    return undefined;
  };
  let isOver = false;
  const over = (): void => void (isOver = true);
  work(ports).then(over, over);
  await fleet.until("it is over", () => isOver || life.state === "crashed");
  await fleet.clock.advance(1_000);
  return life.state === "crashed";
}

test("killed at any of its requests, it is done by the next one", async (t) => {
  const takeOver = (ports: OperatePorts) => takeOverLetters(succession, ports);
  const giveBack = (ports: OperatePorts) => giveBackLetters(succession, ports);
  let n = 1;
  for (let isKilled = true; isKilled; n += 3) {
    const fleet = await beforePromotion();
    const { ports } = operatorOf(fleet);
    isKilled = await isKilledAt(n, fleet, takeOver);
    await fleet.during(takeOver(ports));
    assert.deepEqual(await letters(fleet), taken, `killed at ${String(n)}`);
    isKilled = (await isKilledAt(n + 1, fleet, giveBack)) || isKilled;
    await fleet.during(giveBack(ports));
    assert.deepEqual(await letters(fleet), given, `killed at ${String(n)}`);
  }
  t.diagnostic(`${String(n)} requests`);
  assert.ok(n > 15);
});

test("what the run has refused is redriven like any other, and stays the letter that it was", async () => {
  const fleet = await beforePromotion();
  const { ports } = operatorOf(fleet);
  await fleet.during(takeOverLetters(succession, ports));
  const idsOf = async (): Promise<readonly string[]> =>
    (await fleet.during(readLetters(livePlan, ports))).letters.map(({ id }) => id);
  const ids = await idsOf();
  refuse([3], [8]);
  assert.deepEqual((await redriveAll(fleet)).refused, []);
  await fleet.clock.advance(5_000);
  const over = { 0: "over", 7: "over", 30: "discarded", 9: "over, resolved" };
  const gone = { 10: "resolved", 20: "resolved" };
  assert.deepEqual(await letters(fleet), { ...over, ...gone, 3: "open", 8: "open" });
  refuse([], []);
  assert.equal((await redriveAll(fleet)).sent.length, 2);
  await fleet.clock.advance(5_000);
  assert.deepEqual(await letters(fleet), { ...over, ...gone, 3: "resolved", 8: "resolved" });
  assert.deepEqual(await idsOf(), ids);
  // What was redriven lies in the run's tables, which an undo puts aside.
  await fleet.during(giveBackLetters(succession, ports));
  assert.deepEqual(await letters(fleet), given);
});

test("while live is stopped for a run nothing is redriven; a halted pipeline may be sent its letters", async () => {
  const { fleet } = await refused(10);
  for (const state of ["draining", "closed"] as const) {
    await shut(fleet, state);
    await assert.rejects(redriveAll(fleet), /MILL_GATE_HELD|r1/);
    assert.deepEqual(stateCounts(fleet), {});
  }
  await shut(fleet, "halted");
  assert.equal((await redriveAll(fleet)).sent.length, 2);
});

test("what is on its way back is waited for, before live counts as drained", async () => {
  const { fleet } = await refused(10);
  const { ports } = operatorOf(fleet);
  const plan = planOf(fleet);
  await shut(fleet, "halted");
  await fleet.clock.advance(5_000);
  assert.equal(await fleet.during(isDrained(plan, ports)), true);
  await redriveAll(fleet);
  assert.equal(await fleet.during(isDrained(plan, ports)), false);
  await fleet.during(openGate(plan, "r1", { ports }));
  await fleet.drained();
  assert.equal(await fleet.during(isDrained(plan, ports)), true);
});
