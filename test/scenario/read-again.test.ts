// Progress is put back behind records that have letters: a redrive of those would bring their records a second time.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline } from "#engine";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { planReset, reset, type ResetRequest } from "../../src/engine/operate/reset.ts";
import { Fleet } from "../support/fleet.ts";
import {
  everyFifth,
  flow,
  input,
  numbers,
  operatorOf,
  output,
  planOf,
  redriveAll,
  refused,
  right,
  rule,
  table,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

/** How many letters are in each state, as an operator sees them. */
async function states(fleet: Fleet): Promise<Record<string, number>> {
  const { letters } = await fleet.during(readLetters(planOf(fleet), operatorOf(fleet).ports));
  const counts: Record<string, number> = {};
  for (const { state } of letters) counts[state.state] = (counts[state.state] ?? 0) + 1;
  return counts;
}

/** Returns how many open letters were over with it. */
async function putBack(fleet: Fleet, request: Partial<ResetRequest> = {}): Promise<number> {
  const { ports } = operatorOf(fleet);
  const all = { part: null, topic: null, partition: null, withState: false } as const;
  const wish = { ...all, target: { kind: "earliest" }, ...request } as const;
  const found = await fleet.during(planReset(planOf(fleet), wish, ports));
  return fleet.during(reset(found, ports));
}

test("open letters whose records pass this time are over, and are not redriven", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  for (const over of [20, 0]) assert.equal(await putBack(fleet), over);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { discarded: 20 });
  assert.equal((await redriveAll(fleet)).sent.length, 0);
});

test("what fails again is open again, though it had been resolved, and counts its redrives on", async () => {
  const { fleet, member } = await refused(100, table);
  rule.refuses = everyFifth;
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(await states(fleet), { open: 20 });
  rule.refuses = right;
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(await states(fleet), { resolved: 20 });
  await fleet.during(member.worker.stop());
  for (let twice = 0; twice < 2; twice++) assert.equal(await putBack(fleet), 0);
  assert.deepEqual(await states(fleet), { resolved: 20 });
  rule.refuses = everyFifth;
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { open: 20 });
  rule.refuses = right;
  const { sent } = await redriveAll(fleet);
  assert.deepEqual(
    [sent.length, new Set(sent.map(({ redrives }) => redrives))],
    [20, new Set([3])],
  );
  await fleet.drained();
  assert.deepEqual(await states(fleet), { resolved: 20 });
});

test("letters behind the place where it goes on stay as they are", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  assert.equal(await putBack(fleet, { partition: 1 }), 9);
  assert.deepEqual(await states(fleet), { open: 11, discarded: 9 });
  // Nobody has read anything since: it was a mistake, and what was over is open again.
  assert.equal(await putBack(fleet, { target: { kind: "latest" } }), 0);
  assert.deepEqual(await states(fleet), { open: 20 });
});

test("with empty stores all letters are over; the sum counts each record once", async () => {
  const { fleet, member } = await refused(100, flow);
  await fleet.during(member.worker.stop());
  assert.equal(await putBack(fleet, { withState: true }), 20);
  await fleet.join();
  await fleet.drained();
  assert.equal((await redriveAll(fleet)).sent.length, 0);
  assert.deepEqual(await states(fleet), { discarded: 20 });
});

/** A rule behind a topic that is the pipeline's own. */
const behind = pipeline("behind", { haltWhen: "never" }, ({ from }) => {
  from(input)
    .rekey("by-number", ({ n }) => String(n))
    .expect("fits", (thing) => !rule.refuses(thing), { otherwise: "dead-letter" })
    .to(output);
});

test("letters of a topic of the pipeline's own are over only where all begins anew", async () => {
  const { fleet, member } = await refused(100, behind);
  await fleet.during(member.worker.stop());
  const [, second] = planOf(fleet).parts;
  const part = second?.name ?? assert.fail("one part");
  assert.equal(await putBack(fleet, { part, target: { kind: "latest" } }), 0);
  assert.deepEqual(await states(fleet), { open: 20 });
  assert.equal(await putBack(fleet, { withState: true }), 20);
});

test("letters of a topic that is no more stay open, and those of the new one are letters of their own", async () => {
  const { fleet, member } = await refused(50, table);
  await redriveAll(fleet, { isChosen: ({ origin }) => origin.partition === 0 });
  await fleet.drained();
  const before = await states(fleet);
  assert.deepEqual(Object.keys(before).sort(), ["open", "resolved"]);
  await fleet.during(member.worker.stop());
  await fleet.during(fleet.kafka.port().admin().deleteTopics([input.name]));
  fleet.kafka.createTopic({ topic: input.name, partitions: 2 });
  for (let twice = 0; twice < 2; twice++) assert.equal(await putBack(fleet), 0);
  assert.deepEqual(await states(fleet), before);
  rule.refuses = everyFifth;
  await fleet.sendRecords(numbers(0, 50));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { open: 10 });
});

/** A worker that commits rows with what they owe, and dies before it has sent any of it. */
async function dies(fleet: Fleet, begin: () => Promise<unknown>): Promise<void> {
  let owing = 0;
  fleet.wrapStore = (store) => ({
    ...store,
    pendingLetters: async (task, most) => {
      const owed = await store.pendingLetters(task, most);
      if (owed.length === 0) return owed;
      owing++;
      return new Promise<never>(() => undefined);
    },
  });
  const { life } = await fleet.join();
  await begin();
  await fleet.until("both partitions owe", () => owing >= 2);
  life.crash();
  await fleet.clock.advance(120_000);
  fleet.wrapStore = (store) => store;
}

test("letters that a table still owes are over with the others", async () => {
  rule.refuses = everyFifth;
  const fleet = new Fleet([table]);
  await dies(fleet, () => fleet.sendRecords(numbers(0, 100)));
  assert.deepEqual(await states(fleet), {});
  rule.refuses = right;
  assert.equal(await putBack(fleet), 20);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { discarded: 20 });
});

test("what became of a letter, which a table still owes, hides no later failure", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  await dies(fleet, () => redriveAll(fleet));
  assert.deepEqual(await states(fleet), { redriven: 20 });
  assert.equal(await putBack(fleet), 0);
  rule.refuses = everyFifth;
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { open: 20 });
});

test("letters whose way back is passed over are open", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  await redriveAll(fleet);
  assert.deepEqual(await states(fleet), { redriven: 20 });
  const { redrive: topic } = planOf(fleet);
  assert.equal(await putBack(fleet, { topic, target: { kind: "latest" } }), 0);
  assert.deepEqual(await states(fleet), { open: 20 });
});
