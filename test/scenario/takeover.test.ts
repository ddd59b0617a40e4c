// Two workers and one partition: what a zombie may still do, what its successor waits for, and where a task that begins
// again begins.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const flow = pipeline("flow", ({ from }) => {
  from(input).to(output);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));
const out = (fleet: Fleet): number[] => fleet.values(output).map(({ n }) => n);

async function started(use: Pipeline = flow) {
  const fleet = new Fleet([use]);
  const first = await fleet.join();
  await fleet.drained();
  return { fleet, first };
}

/** Sends the numbers; the member's request of this kind, which they lead to, is held, and the member stands still. */
async function frozenAt(
  fleet: Fleet,
  member: FleetMember,
  request: "send" | "sendOffsets" | "commit",
): Promise<void> {
  const held = fleet.hold(member, request);
  await fleet.until(`${request} is under way`, held.isReached);
  fleet.kafka.freeze(member.port);
  held.release();
}

for (const request of ["send", "sendOffsets", "commit"] as const)
  test(`a worker that stood still at ${request} until another had its partition doubles nothing`, async () => {
    const { fleet, first } = await started();
    let isOver = false;
    void first.worker.ended.then(() => (isOver = true));
    await fleet.send(input.name, numbered(1));
    await fleet.drained();
    await fleet.join();
    await fleet.send(input.name, numbered(2, 3));
    await frozenAt(fleet, first, request);
    await fleet.until("the next owner has written", () => out(fleet).length === 3);
    await fleet.send(input.name, numbered(4));
    fleet.kafka.thaw(first.port);
    await fleet.drained();
    assert.deepEqual(out(fleet), [1, 2, 3, 4]);
    assert.deepEqual(await fleet.ledger("main"), { consumed: 4, emitted: 4 });
    // It has joined again: only what no retry can mend ends a worker.
    assert.deepEqual([first.worker.isJoined, isOver], [true, false]);
  });

test("a takeover waits for an open transaction that carries progress, whoever's it is", async () => {
  const { fleet, first } = await started();
  await fleet.during(first.worker.stop());
  // Progress still names the first worker, so nobody can know that the second one's transaction is to be ended.
  const second = await fleet.join();
  await fleet.clock.advance(1_000);
  await fleet.join();
  await fleet.send(input.name, numbered(1, 2));
  await frozenAt(fleet, second, "commit");
  await fleet.clock.advance(13_000);
  assert.deepEqual(out(fleet), []);
  fleet.kafka.thaw(second.port);
  await fleet.drained();
  assert.deepEqual(out(fleet), [1, 2]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 2, emitted: 2 });
});

test("a takeover ends the transaction of a dead owner at once instead of waiting for its time-out", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  await fleet.join();
  await fleet.send(input.name, numbered(2));
  const held = fleet.hold(first, "commit");
  await fleet.until("the commit is under way", held.isReached);
  fleet.kafka.crash(first.port);
  await fleet.until(
    "the session is over and the next owner has written",
    () => out(fleet).length === 2,
    15_000,
  );
  assert.deepEqual(out(fleet), [1, 2]);
});

test("a dead owner's id that may not be used, as under another prefix, is left to its time-out", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  await fleet.join();
  await fleet.send(input.name, numbered(2));
  const held = fleet.hold(first, "commit");
  await fleet.until("the commit is under way", held.isReached);
  const [id = ""] = fleet.kafka.openTransactions();
  assert.match(id, /^millrace-/);
  fleet.kafka.forbidTransactionalId(id);
  fleet.kafka.crash(first.port);
  await fleet.until("the next owner has written", () => out(fleet).length === 2, 60_000);
  assert.deepEqual(out(fleet), [1, 2]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 2, emitted: 2 });
});

test("a partition that moves to a new member leaves the transactions of its old owner alone", async () => {
  const wideInput = things("wide-in", 2);
  const wideOutput = things("wide-out", 2);
  const wide = pipeline("wide", ({ from }) => {
    from(wideInput).to(wideOutput);
  });
  const { fleet } = await started(wide);
  for (const partition of [0, 1]) await fleet.send(wideInput.name, numbered(1), partition);
  await fleet.drained();
  await fleet.join();
  for (const partition of [0, 1]) await fleet.send(wideInput.name, numbered(2), partition);
  await fleet.drained();
  assert.deepEqual(
    fleet.values(wideOutput).map(({ n }) => n),
    [1, 1, 2, 2],
  );
  assert.equal(fleet.meter.counter("millrace_fenced_total"), 0);
  assert.equal(fleet.meter.counter("millrace_rewinds_total"), 0);
});

test("the ledger goes on where the last owner left it", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1, 2));
  await fleet.drained();
  fleet.kafka.crash(first.port);
  await fleet.send(input.name, numbered(3));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(await fleet.ledger("main"), { consumed: 3, emitted: 3 });
});

const latest = pipeline("latest", { start: "latest" }, ({ from }) => {
  from(input).to(output);
});

test("a first start at the latest offset is written down before anything is read", async () => {
  const fleet = new Fleet([latest]);
  await fleet.send(input.name, numbered(1, 2));
  const first = await fleet.join();
  await fleet.clock.advance(1_000);
  fleet.kafka.crash(first.port);
  await fleet.send(input.name, numbered(3, 4));
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(out(fleet), [3, 4]);
});

test("a first start that was given up on the way is not written down behind the one that took its place", async () => {
  const beside = things("beside", 1);
  const echo = things("echo", 1);
  const neighbour = pipeline("neighbour", ({ from }) => {
    from(beside).to(echo);
  });
  const fleet = new Fleet([flow, neighbour]);
  const { promise: isReleased, resolve: release } = Promise.withResolvers<void>();
  let looks = 0;
  // The second look at where the topic begins is the one for the start that is about to be written down.
  fleet.wrapPort = (port) => {
    const adminOf = port.admin.bind(port);
    const admin: typeof port.admin = () => {
      const made = adminOf();
      const look = made.watermarks.bind(made);
      const watermarks: typeof look = async (name) => {
        if (name === input.name && ++looks === 2) await isReleased;
        return look(name);
      };
      return Object.assign(made, { watermarks });
    };
    return Object.assign(port, { admin });
  };
  const first = await fleet.join();
  await fleet.until("the start is under way", () => looks === 2);
  // A failed commit of the neighbour sends every task of the worker back, those on their way as well.
  fleet.kafka.failNext("sendOffsets", { after: false });
  await fleet.send(beside.name, numbered(1));
  await fleet.send(input.name, numbered(2));
  await fleet.until("the second takeover goes on", () => out(fleet).length === 1);
  assert.ok(looks > 2);
  await fleet.drained();
  release();
  await fleet.clock.advance(5_000);
  fleet.kafka.crash(first.port);
  fleet.wrapPort = (port) => port;
  await fleet.join();
  await fleet.clock.advance(20_000);
  await fleet.send(input.name, numbered(3));
  await fleet.drained();
  assert.deepEqual(out(fleet), [2, 3]);
});

test("progress that is gone although it was noted stops the task instead of beginning again", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  fleet.kafka.forgetProgress("flow.main");
  const { worker } = await fleet.join();
  await fleet.until("the task stops", () => worker.health()[0]?.state === "stopped");
  const [task] = worker.health();
  assert.equal(task?.state === "stopped" && task.code, "MILL_SOURCE_PROGRESS_LOST");
  assert.deepEqual(out(fleet), [1]);
});

test("progress below what the topic still has stops the task instead of skipping the gap", async () => {
  const { fleet, first } = await started();
  await fleet.send(input.name, numbered(1));
  await fleet.drained();
  await fleet.during(first.worker.stop());
  await fleet.send(input.name, numbered(2, 3));
  await fleet.deleteRecords(input.name, 2n);
  const { worker } = await fleet.join();
  await fleet.until("the task stops", () => worker.health()[0]?.state === "stopped");
  const [task] = worker.health();
  assert.equal(task?.state === "stopped" && task.code, "MILL_SOURCE_OFFSET_GONE");
  assert.deepEqual(out(fleet), [1]);
});

test("records that retention takes from under a running task stop it", async () => {
  const { fleet, first } = await started();
  fleet.kafka.freeze(first.port);
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.deleteRecords(input.name, 2n);
  fleet.kafka.thaw(first.port);
  await fleet.until("the task stops", () => first.worker.health()[0]?.state === "stopped");
  assert.deepEqual(out(fleet), []);
});
