// Progress is put back behind records that have letters: a redrive of those would bring their records a second time.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline } from "#engine";
import { beginReset, openWithinReset } from "../../src/engine/letters/commands/generation.ts";
import { readLetters } from "../../src/engine/letters/read-letters.ts";
import { generationRecord, generationsIn } from "../../src/engine/notes/generations.ts";
import { readNotes } from "../../src/engine/notes/notes.ts";
import { planReset, reset, type ResetRequest } from "../../src/engine/operate/reset.ts";
import { Fleet } from "../support/fleet.ts";
import {
  everyFifth,
  expectedOf,
  flow,
  input,
  madeBy,
  numbers,
  operatorOf,
  output,
  planOf,
  range,
  redriveAll,
  refused,
  right,
  rows,
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
  const over = await fleet.during(openWithinReset(planOf(fleet), found.readings, ports));
  await fleet.during(reset(found, ports));
  return over;
}

test("open letters whose records pass this time are over, and are not redriven", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  for (const over of [20, 0]) assert.equal(await putBack(fleet), over);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { over: 20 });
  assert.equal((await redriveAll(fleet)).sent.length, 0);
});

test("what fails again is a letter of its own, though that of before had been resolved, and counts its redrives anew", async () => {
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
  assert.deepEqual(await states(fleet), { over: 20 });
  rule.refuses = everyFifth;
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { open: 20 });
  rule.refuses = right;
  const { sent } = await redriveAll(fleet);
  assert.deepEqual(
    [sent.length, new Set(sent.map(({ redrives }) => redrives))],
    [20, new Set([1])],
  );
  await fleet.drained();
  assert.deepEqual(await states(fleet), { resolved: 20 });
});

test("letters behind the place where it goes on stay as they are", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  assert.equal(await putBack(fleet, { partition: 1 }), 9);
  assert.deepEqual(await states(fleet), { open: 11, over: 9 });
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
  assert.deepEqual(await states(fleet), { over: 20 });
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
  await putBack(fleet);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await states(fleet), { over: 20 });
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

test("letters that wait in the redrive topic are passed over where their records are read again", async () => {
  const { fleet, member } = await refused(100, table);
  await fleet.during(member.worker.stop());
  await redriveAll(fleet);
  assert.equal(await putBack(fleet, { partition: 1 }), 0);
  await fleet.join();
  await fleet.drained();
  // Eleven came back; nine were read in the source.
  assert.deepEqual(await states(fleet), { resolved: 11, over: 9 });
  assert.equal(fleet.meter.counter("millrace_redrives_superseded_total"), 9);
});

test("letters that wait in the redrive topic count once where all begins anew", async () => {
  const { fleet, member } = await refused(100, flow);
  await fleet.during(member.worker.stop());
  assert.equal((await redriveAll(fleet)).sent.length, 20);
  await putBack(fleet, { withState: true });
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(madeBy(fleet).totals, expectedOf(range(100)).totals);
  assert.deepEqual(await states(fleet), { over: 20 });
  assert.equal(fleet.meter.counter("millrace_redrives_superseded_total"), 20);
});

test("a worker that knows only an older generation takes a letter of a later one", async () => {
  const two = pipeline("two", { haltWhen: "never" }, ({ from }) => {
    const fits = (thing: Parameters<typeof rule.refuses>[0]): boolean => !rule.refuses(thing);
    from(input).expect("fits", fits, { otherwise: "dead-letter" }).to(output);
    from(output).upsertInto(rows);
  });
  const { fleet } = await refused(100, two);
  const { ports } = operatorOf(fleet);
  // As a reset of a part that this worker does not run.
  const readings = [{ part: "other", topic: input.name, partition: 0, from: 0n, stopped: 9n }];
  const resetting = { readings, hasOtherStores: false, skipped: [] };
  const positions = () => Promise.resolve(new Map<string, bigint>());
  const generation = await fleet.during(
    beginReset(planOf(fleet), { ...resetting, positions }, ports),
  );
  const ended = generationRecord(planOf(fleet).meta, { ...generation, isUnfinished: false });
  await fleet.sendRecords([ended]);
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(await states(fleet), { resolved: 20 });
});

/** Kills the reset at its n-th request. Returns whether it came to that. */
async function diesAt(n: number, fleet: Fleet): Promise<boolean> {
  const operator = operatorOf(fleet);
  const all = { part: null, topic: null, partition: null, withState: true } as const;
  let left = n;
  fleet.watcher = ({ worker }) => {
    if (worker === operator.life && --left === 0) fleet.kafka.crash(operator.port);
  };
  const work = async (): Promise<unknown> => {
    const wish = { ...all, target: { kind: "earliest" } } as const;
    return reset(await planReset(planOf(fleet), wish, operator.ports), operator.ports);
  };
  let isOver = false;
  const over = (): void => void (isOver = true);
  work().then(over, over);
  await fleet.until("it is over", () => isOver || operator.life.state === "crashed");
  await fleet.clock.advance(15_000);
  fleet.watcher = () => undefined;
  return operator.life.state === "crashed";
}

test("behind a reset that has died nobody reads until it is run again, and it is one generation", async () => {
  let waited = 0;
  for (let n = 1; ; n += 2) {
    const { fleet, member } = await refused(20, flow);
    await fleet.during(member.worker.stop());
    const isKilled = await diesAt(n, fleet);
    const { worker } = await fleet.join();
    await fleet.clock.advance(5_000);
    const [why] = worker.whyPaused;
    if (why !== undefined) {
      waited++;
      assert.match(why, /flow is closed since .* an offsets reset has not ended/);
      assert.deepEqual(madeBy(fleet).out.length, 16, `killed at ${String(n)}`);
    }
    await fleet.during(worker.stop());
    await putBack(fleet, { withState: true });
    await fleet.join();
    await fleet.drained();
    // Outputs are written again, the sums count once.
    const { totals } = madeBy(fleet);
    assert.deepEqual(totals, expectedOf(range(20)).totals, `killed at ${String(n)}`);
    const notes = await fleet.during(readNotes(operatorOf(fleet).ports, planOf(fleet).meta));
    if (isKilled) assert.ok(generationsIn(planOf(fleet), notes).length <= 2);
    if (why !== undefined)
      assert.equal(generationsIn(planOf(fleet), notes).length, 1, `killed at ${String(n)}`);
    if (!isKilled) break;
  }
  assert.ok(waited > 3, String(waited));
});
