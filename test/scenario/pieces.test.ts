// Streams that hang together by nothing are parts of their own: what stops one leaves the others alone. A pipeline that an
// earlier release ran as one part goes on where that left it, once, whoever dies on the way and whoever is still there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import { ledgerVerb } from "../../src/cli/ledger.ts";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { KafkaRequest } from "../../src/engine/testing/memory-kafka/broker/conditions.ts";
import { asBefore, ranBefore, unknowing } from "../support/former.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { things, type Thing } from "../support/plans.ts";

const a = things("a", 1);
const b = things("b", 1);
const x = things("x", 1);
const y = things("y", 1);
const flow = pipeline("flow", ({ from }) => {
  from(a).to(x);
  from(b).to(y);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));
const numbers = (fleet: Fleet, topic: typeof y): number[] => fleet.values(topic).map(({ n }) => n);
const planOf = (fleet: Fleet): Plan => fleet.plans[0] as Plan;

const committed = (fleet: Fleet, group: string, topic: string) =>
  fleet.during(
    fleet.kafka
      .port()
      .admin()
      .committed(group, [{ topic, partition: 0 }], { stable: true }),
  );

/** Both streams were read up to their third record. */
async function upgraded(use: Pipeline = flow): Promise<Fleet> {
  const fleet = new Fleet([use]);
  await fleet.makeRedriveTopics();
  for (const topic of [a, b]) await fleet.send(topic.name, numbered(1, 2, 3, 4));
  await ranBefore(fleet, planOf(fleet), [
    { topic: "a", nextOffset: 3 },
    { topic: "b", nextOffset: 3, timeMs: 77 },
    { topic: "flow-redrive", nextOffset: 0 },
  ]);
  return fleet;
}

test("streams of different width run side by side", async () => {
  const wide = things("wide", 4);
  const narrow = things("narrow", 2);
  const both = pipeline("both", ({ from }) => {
    from(wide).to(x);
    from(narrow).to(y);
  });
  const fleet = new Fleet([both]);
  await fleet.join();
  for (const partition of [0, 1, 2, 3]) await fleet.send("wide", numbered(partition), partition);
  for (const partition of [0, 1]) await fleet.send("narrow", numbered(partition), partition);
  await fleet.drained();
  assert.deepEqual(numbers(fleet, x).sort(), [0, 1, 2, 3]);
  assert.deepEqual(numbers(fleet, y).sort(), [0, 1]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 4, emitted: 4 });
  assert.deepEqual(await fleet.ledger("narrow"), { consumed: 2, emitted: 2 });
});

test("a halt in one leaves the other alone", async () => {
  const halting = pipeline("halting", ({ from }) => {
    from(a)
      .expect("fits", ({ n }) => n !== 2, { otherwise: "halt" })
      .to(x);
    from(b).to(y);
  });
  const fleet = new Fleet([halting]);
  const { worker } = await fleet.join();
  for (const topic of [a, b]) await fleet.send(topic.name, numbered(1, 2, 3));
  await fleet.until("the other is done", () => numbers(fleet, y).length === 3);
  assert.deepEqual(numbers(fleet, x), [1]);
  const stopped = worker.health().filter(({ state }) => state === "stopped");
  assert.deepEqual(
    stopped.map(({ part, topic }) => [part, topic]),
    [["main", "a"]],
  );
});

test("what an earlier release had as one part goes on as two, with ledgers and stream time", async () => {
  const fleet = await upgraded();
  await fleet.join();
  await fleet.drained();
  assert.deepEqual([numbers(fleet, x), numbers(fleet, y)], [[4], [4]]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 4, emitted: 4 });
  assert.deepEqual(await fleet.ledger("b"), { consumed: 4, emitted: 4 });
  const [old] = await committed(fleet, "flow.main", "b");
  assert.equal(old?.nextOffset, null);
  const { out, code } = await fleetCommand(fleet, ledgerVerb, ["ledger", "check", "flow"]);
  assert.equal(code, 0, out.join("\n"));
});

test("the stream time of before is that of the part", async () => {
  const fleet = await upgraded();
  const member = await fleet.join();
  await fleet.clock.advance(50);
  void member;
  const [now] = await committed(fleet, "flow.b", "b");
  assert.match(now?.metadata ?? "", /"time":77|"consumed":4/);
});

for (const request of ["sendOffsets", "send", "commit"] as const)
  for (const nth of [1, 2])
    test(`killed at ${request} number ${String(nth)}, the next worker goes on where the release left it`, async () => {
      const fleet = await upgraded();
      let count = 0;
      let doomed: object | null = null;
      fleet.watcher = ({ worker, request: kind }) => {
        doomed ??= worker;
        if (worker !== doomed || kind !== (request satisfies KafkaRequest) || ++count !== nth)
          return;
        worker.crash();
      };
      await fleet.join();
      await fleet.clock.advance(2_000);
      await fleet.join();
      await fleet.drained();
      assert.deepEqual([numbers(fleet, x), numbers(fleet, y)], [[4], [4]]);
      assert.deepEqual(await fleet.ledger("b"), { consumed: 4, emitted: 4 });
    });

test("while a worker of before still reads, the part waits and says so; then it goes on, once", async () => {
  const fleet = await upgraded();
  const plan = planOf(fleet);
  fleet.wrapPort = (port) => unknowing(port, plan);
  const old = await fleet.join({ plans: [asBefore(plan)] });
  fleet.wrapPort = (port) => port;
  const isRead = (): boolean => numbers(fleet, y).length === 1;
  await fleet.until("the old one has read", isRead);
  const young = await fleet.join();
  await fleet.clock.advance(8_000);
  await fleet.send("b", numbered(5));
  const [waiting] = young.worker.health().filter(({ part }) => part === "b");
  assert.equal(waiting?.state, "paused");
  assert.match((waiting as { why: string }).why, /earlier version still read .* flow\.main/);
  await fleet.during(old.worker.stop());
  await fleet.drained();
  assert.deepEqual([numbers(fleet, x), numbers(fleet, y)], [[4], [4, 5]]);
  assert.deepEqual(await fleet.ledger("b"), { consumed: 5, emitted: 5 });
});

test("back to the release of before and forward again: what it was told, and has read, is not read twice", async () => {
  const fleet = await upgraded();
  const plan = planOf(fleet);
  const young = await fleet.join();
  await fleet.drained();
  await fleet.during(young.worker.stop());
  // As `offsets reset flow --part main --topic b --to group:flow.b` of that release writes it.
  const metadata = '{"v":1,"owner":"millrace-reset","ledger":{"consumed":0}}';
  const told = [{ topic: "b", partition: 0, nextOffset: 4n, metadata }];
  await fleet.during(fleet.kafka.port().admin().commitOffsets("flow.main", told));
  for (const topic of [a, b]) await fleet.send(topic.name, numbered(5));
  fleet.wrapPort = (port) => unknowing(port, plan);
  const old = await fleet.join({ plans: [asBefore(plan)] });
  await fleet.until("it has read", () => numbers(fleet, y).length === 2);
  await fleet.clock.advance(1_000);
  await fleet.during(old.worker.stop());
  fleet.wrapPort = (port) => port;
  for (const topic of [a, b]) await fleet.send(topic.name, numbered(6));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(
    [numbers(fleet, x), numbers(fleet, y)],
    [
      [4, 5, 6],
      [4, 5, 6],
    ],
  );
});

const [wideA, wideB] = [things("a", 2), things("b", 2)];
const wide = pipeline("flow", ({ from }) => {
  from(wideA).to(x);
  from(wideB).to(y);
});

/** Everything was read but the last record of b-1, where there is one; a worker that comes second gets partition 1. */
async function upgradedWide(left: number): Promise<Fleet> {
  const fleet = new Fleet([wide]);
  await fleet.makeRedriveTopics();
  await fleet.send("b", numbered(1, 2, 3, 4).slice(0, 3 + left), 1);
  const all = ["a", "b", "flow-redrive"].flatMap((topic) =>
    [0, 1].map((partition) => {
      return { topic, partition, nextOffset: topic === "b" && partition === 1 ? 3 : 0 };
    }),
  );
  await ranBefore(fleet, planOf(fleet), all);
  return fleet;
}

/** Holds the first request of the move; returns what lets it go. */
async function heldMove(fleet: Fleet): Promise<() => void> {
  let isHeld = false;
  const { promise, resolve } = Promise.withResolvers<void>();
  fleet.watcher = ({ request }) => {
    if (request !== "sendOffsets" || isHeld) return undefined;
    isHeld = true;
    return promise;
  };
  await fleet.join();
  await fleet.until("the move has begun", () => isHeld);
  return resolve;
}

async function joinBefore(fleet: Fleet): Promise<FleetMember> {
  const plan = planOf(fleet);
  fleet.wrapPort = (port) => unknowing(port, plan);
  const old = await fleet.join({ plans: [asBefore(plan)] });
  fleet.wrapPort = (port) => port;
  return old;
}

test("a worker of before that comes later stops, and doubles nothing", async () => {
  const fleet = await upgradedWide(1);
  await fleet.join();
  await fleet.drained();
  const old = await joinBefore(fleet);
  await fleet.clock.advance(3_000);
  await fleet.send("b", numbered(5), 1);
  await fleet.clock.advance(3_000);
  assert.deepEqual(numbers(fleet, y), [4, 5]);
  const found = old.worker.health().map((task) => [task.topic, task.partition, task.state]);
  assert.deepEqual(found, [
    ["a", 1, "stopped"],
    ["b", 1, "stopped"],
  ]);
});

test("a worker of before that reads while progress is moved, and goes again, is noticed", async () => {
  const fleet = await upgradedWide(1);
  const release = await heldMove(fleet);
  const old = await joinBefore(fleet);
  await fleet.until("the other has read", () => numbers(fleet, y).length === 1, 3_000);
  await fleet.clock.advance(300);
  await fleet.during(old.worker.stop());
  release();
  await fleet.drained();
  assert.deepEqual(numbers(fleet, y), [4]);
  assert.deepEqual(await fleet.ledger("b"), { consumed: 4, emitted: 4 });
});

test("a worker of before that joins while progress is moved, and has nothing to read yet, is noticed", async () => {
  const fleet = await upgradedWide(0);
  const release = await heldMove(fleet);
  const old = await joinBefore(fleet);
  await fleet.clock.advance(1_500);
  release();
  await fleet.clock.advance(2_000);
  await fleet.send("b", numbered(4), 1);
  await fleet.clock.advance(2_000);
  await fleet.during(old.worker.stop());
  await fleet.drained();
  assert.deepEqual(numbers(fleet, y), [4]);
  assert.deepEqual(await fleet.ledger("b"), { consumed: 4, emitted: 4 });
});
