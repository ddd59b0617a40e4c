// The stream commit when something goes wrong in the middle of it: two pipelines in one worker, so two groups in one
// transaction. Whatever is lost, every record ends once, in order, and the ledger says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, type Pipeline } from "#engine";
import { MillraceError } from "../../src/engine/core/errors.ts";
import { Fleet } from "../support/fleet.ts";
import { things, type Thing } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const otherInput = things("other-in", 1);
const otherOutput = things("other-out", 1);

const flow = pipeline("flow", ({ from }) => {
  from(input)
    .expect("not-negative", (t) => t.n >= 0, { otherwise: "dead-letter" })
    .filter("not-zero", (t) => t.n !== 0)
    .to(output);
});
const other = pipeline("other", ({ from }) => {
  from(otherInput).to(otherOutput);
});

const numbered = (...ns: readonly number[]): Thing[] => ns.map((n) => ({ id: "k", n }));
const numbers = (values: readonly Thing[]): number[] => values.map(({ n }) => n);

/** A worker that has noted its first starts and waits for records. */
async function started(...pipelines: readonly Pipeline[]) {
  const fleet = new Fleet(pipelines);
  const member = await fleet.join();
  await fleet.drained();
  return { fleet, member };
}

/**
 * Every record of both pipelines once. The meter was told of everything but `untold` records: those of a commit whose
 * outcome only the next takeover could read.
 */
async function assertAllOnce(fleet: Fleet, ns: readonly number[], untold = 0): Promise<void> {
  await fleet.drained();
  const good = ns.filter((n) => n > 0);
  assert.deepEqual(numbers(fleet.values(output)), good);
  assert.deepEqual(numbers(fleet.values(otherOutput)), ns);
  const bad = ns.filter((n) => n < 0).length;
  assert.equal(fleet.letters().length, bad);
  const ledger = await fleet.ledger("main");
  const { consumed, emitted, "dead-lettered": letters = 0, filtered = 0 } = ledger;
  assert.deepEqual([consumed, emitted], [2 * ns.length, good.length + ns.length]);
  assert.deepEqual([letters, filtered], [bad, ns.filter((n) => n === 0).length]);
  const told = fleet.meter.counter("millrace_consumed_records_total");
  assert.equal(told, 2 * ns.length - untold);
}

for (const request of ["send", "sendOffsets", "commit"] as const)
  for (const after of [false, true])
    test(`a ${request} that is lost ${after ? "after" : "before"} it took effect loses and doubles nothing`, async () => {
      const { fleet } = await started(flow, other);
      await fleet.send(input.name, numbered(1, -2, 0, 3));
      await fleet.send(otherInput.name, numbered(1, -2, 0, 3));
      fleet.kafka.failNext(request, { after });
      await fleet.clock.advance(1_000);
      await fleet.send(input.name, numbered(4));
      await fleet.send(otherInput.name, numbered(4));
      const untold = request === "commit" && after ? 8 : 0;
      await assertAllOnce(fleet, [1, -2, 0, 3, 4], untold);
      assert.equal(fleet.meter.counter("millrace_rewinds_total", { pipeline: "flow" }), 1);
      assert.equal(fleet.meter.counter("millrace_rewinds_total", { pipeline: "other" }), 1);
    });

test("records that were staged while a failed commit was under way are processed again, not committed beyond a gap", async () => {
  const { fleet, member } = await started(flow, other);
  await fleet.send(input.name, numbered(1, 2));
  await fleet.send(otherInput.name, numbered(1, 2));
  const held = fleet.hold(member, "commit");
  await fleet.until("the commit is under way", held.isReached);
  await fleet.send(input.name, numbered(3, 4));
  await fleet.send(otherInput.name, numbered(3, 4));
  await fleet.clock.advance(50);
  fleet.kafka.failNext("commit");
  // Meanwhile further commits are due, and must find nothing.
  const reading = fleet.hold(member, "committed");
  held.release();
  await fleet.until("progress is read again", reading.isReached);
  await fleet.clock.advance(1_000);
  reading.release();
  await assertAllOnce(fleet, [1, 2, 3, 4]);
});

test("a record that was read but whose commit failed at the revocation is read again by the same worker", async () => {
  const { fleet } = await started(flow, other);
  await fleet.send(input.name, numbered(1, 2));
  await fleet.send(otherInput.name, numbered(1, 2));
  await fleet.clock.advance(1);
  fleet.kafka.failNext("commit");
  fleet.kafka.rebalance("flow.main");
  await assertAllOnce(fleet, [1, 2]);
});

test("a worker that leaves commits what it has staged while it is still a member", async () => {
  const { fleet, member } = await started(flow, other);
  await fleet.send(input.name, numbered(1, -2, 0));
  await fleet.send(otherInput.name, numbered(1, -2, 0));
  await fleet.clock.advance(1);
  assert.deepEqual(fleet.values(output), []);
  await fleet.during(member.worker.stop());
  const progress = await fleet.progress();
  assert.deepEqual(
    progress.map(({ ledger }) => ledger?.consumed),
    [3, 3],
  );
  assert.equal(fleet.meter.counter("millrace_fenced_total"), 0);
  await fleet.join();
  await assertAllOnce(fleet, [1, -2, 0]);
});

test("a worker that is told to rebalance commits what it has staged before it joins again", async () => {
  const { fleet } = await started(flow, other);
  await fleet.send(input.name, numbered(1));
  await fleet.send(otherInput.name, numbered(1));
  await fleet.clock.advance(1);
  fleet.kafka.rebalance("flow.main");
  await assertAllOnce(fleet, [1]);
  assert.equal(fleet.meter.counter("millrace_fenced_total"), 0);
  assert.equal(fleet.meter.counter("millrace_rewinds_total"), 0);
});

test("progress moves past records that produce nothing", async () => {
  const { fleet } = await started(flow);
  await fleet.send(input.name, numbered(0, 0));
  const [at] = await fleet.drained();
  assert.deepEqual([at?.nextOffset, fleet.values(output).length], [2n, 0]);
});

test("a halted record is neither consumed nor passed, also not by the next worker", async () => {
  const strict = pipeline("strict", ({ from }) => {
    from(input)
      .expect("not-negative", (t) => t.n >= 0, { otherwise: "halt" })
      .to(output);
  });
  const { fleet, member } = await started(strict);
  await fleet.send(input.name, numbered(1, 2, -3, 4));
  for (const worker of [member.worker, null]) {
    const asked = worker ?? (await fleet.join()).worker;
    await fleet.until("the task stops", () => asked.health()[0]?.state === "stopped");
    await fleet.clock.advance(5_000);
    const [at] = await fleet.progress();
    assert.deepEqual([at?.nextOffset, at?.ledger?.consumed, at?.ledger?.emitted], [2n, 2, 2]);
    assert.deepEqual(numbers(fleet.values(output)), [1, 2]);
    await fleet.during(asked.stop());
  }
});

test("a defect in the middle of a run stops the task, and nothing of that run is committed", async () => {
  let isBroken = true;
  const fragile = pipeline("fragile", ({ from }) => {
    from(input)
      .peek("look", ({ n }) => {
        // No callback of a user's has a disposition; ours may only say halt or dead letter here.
        if (isBroken && n === 4) throw new MillraceError("MILL_KAFKA_UNAVAILABLE", "a defect");
      })
      .to(output);
  });
  const { fleet, member } = await started(fragile);
  await fleet.send(input.name, numbered(1, 2));
  await fleet.clock.advance(1);
  await fleet.send(input.name, numbered(3, 4));
  await fleet.until("it stops", () => member.worker.health()[0]?.state === "stopped");
  await fleet.clock.advance(5_000);
  await fleet.during(member.worker.stop());
  isBroken = false;
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(numbers(fleet.values(output)), [1, 2, 3, 4]);
  assert.deepEqual(await fleet.ledger("main"), { consumed: 4, emitted: 4 });
});
