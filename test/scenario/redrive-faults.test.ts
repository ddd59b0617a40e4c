// Whoever dies while letters go back, workers or the command, and whoever comes between: none is sent twice, all are
// resolved, and the tables are those of a run that had the right rule from the start.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { cancelJob, isCancelled, jobIn } from "../../src/engine/letters/commands/operator.ts";
import { readNotes } from "../../src/engine/notes/notes.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import {
  expectedOf,
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

test("of two commands at once each letter is sent by one: who begins later ends the other", async () => {
  const { fleet } = await refused(400);
  const first = redriveBy(operatorOf(fleet), fleet, { ratePerS: 20 });
  const ended = assert.rejects(first, { code: "MILL_KAFKA_FENCED" });
  await fleet.until("the first has sent some", () => redriveRecords(fleet).length > 10);
  const { sent } = await redriveAll(fleet);
  assert.ok(sent.length > 0 && sent.length < 80);
  await fleet.during(ended);
  await fleet.drained();
  assert.equal(redriveRecords(fleet).length, 80);
  assert.deepEqual(madeBy(fleet), expectedOf(range(400)));
  assert.deepEqual(stateCounts(fleet), { resolved: 80 });
});

test("what another command sends until the last moment is not sent again", async () => {
  const { fleet } = await refused(400);
  const first = redriveBy(operatorOf(fleet), fleet, { ratePerS: 40 });
  const ended = assert.rejects(first, { code: "MILL_KAFKA_FENCED" });
  await fleet.until("the first has sent some", () => redriveRecords(fleet).length > 10);
  const second = operatorOf(fleet);
  let held = 0;
  const { promise: sentMore, resolve: letGo } = Promise.withResolvers<void>();
  fleet.watcher = ({ worker, request }) => {
    if (worker !== second.life || request !== "init") return;
    held++;
    return sentMore;
  };
  const rest = redriveBy(second, fleet);
  await fleet.until("the first has sent more", () => redriveRecords(fleet).length > 40);
  letGo();
  await fleet.during(Promise.all([rest, ended]));
  assert.equal(held, 1);
  await fleet.drained();
  assert.equal(redriveRecords(fleet).length, 80);
  assert.deepEqual(madeBy(fleet), expectedOf(range(400)));
});

test("states behind a transaction that is still open are waited for", async () => {
  const { fleet, member } = await refused(400);
  const hold = fleet.hold(member, "commit");
  const operator = operatorOf(fleet);
  redriveBy(operator, fleet, { ratePerS: 40 }).catch(() => undefined);
  await fleet.until("a task is about to decide", () => hold.isReached());
  await fleet.until("more were sent", () => redriveRecords(fleet).length > 60);
  fleet.kafka.crash(operator.port);
  const again = redriveBy(operatorOf(fleet), fleet);
  await fleet.clock.advance(3_000);
  hold.release();
  await fleet.during(again);
  await fleet.drained();
  assert.equal(redriveRecords(fleet).length, 80);
  assert.deepEqual(madeBy(fleet), expectedOf(range(400)));
});

test("a rate is kept, and a wish to end is soon seen; what was sent is not taken back", async () => {
  const { fleet } = await refused(400);
  const startedMs = fleet.clock.now();
  const running = redriveBy(operatorOf(fleet), fleet, { job: "slow", ratePerS: 20 });
  await fleet.until("some were sent", () => redriveRecords(fleet).length >= 40);
  assert.ok(fleet.clock.now() - startedMs >= 1_400, "faster than its rate");
  const { ports } = operatorOf(fleet);
  const plan = planOf(fleet);
  const notes = await fleet.during(readNotes(ports, plan.letterStates));
  assert.equal((await fleet.during(cancelJob(plan, notes, ports)))?.job, "slow");
  const { sent, isCancelled: wasCancelled } = await fleet.during(running);
  assert.ok(wasCancelled && sent.length >= 40 && sent.length < 80, String(sent.length));
  await fleet.drained();
  assert.deepEqual(stateCounts(fleet), { resolved: sent.length });
  const after = await fleet.during(readNotes(ports, plan.letterStates));
  assert.deepEqual([jobIn(after)?.state, isCancelled(after, "other")], ["cancelled", false]);
  assert.equal((await redriveAll(fleet)).sent.length, 80 - sent.length);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(400)));
});

test("a command that is killed at any request and run again sends each letter once", async () => {
  let kills = 0;
  for (let at = 1; ; at++) {
    const { fleet } = await refused(20);
    const operator = operatorOf(fleet);
    let seen = 0;
    fleet.watcher = ({ worker }) => {
      if (worker !== operator.life || ++seen < at) return;
      kills++;
      fleet.kafka.crash(operator.port);
    };
    let isDone = false;
    // One that was killed never says anything again.
    redriveBy(operator, fleet).then(
      () => (isDone = true),
      () => undefined,
    );
    await fleet.clock.advance(5_000);
    fleet.watcher = () => undefined;
    await redriveAll(fleet);
    await fleet.drained();
    assert.equal(redriveRecords(fleet).length, 4, `killed at request ${String(at)}`);
    assert.deepEqual(madeBy(fleet), expectedOf(range(20)), `killed at request ${String(at)}`);
    assert.deepEqual(stateCounts(fleet), { resolved: 4 });
    if (isDone) break;
  }
  assert.ok(kills > 10, String(kills));
});

const SEEDS = 40;

test("whoever dies on the way, at any request, workers or the command: nothing twice, all resolved", async () => {
  let kills = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed);
    const { fleet, member } = await refused(100);
    const alive = [member, await fleet.join()];
    let operator = operatorOf(fleet);
    let countdown = 3 + Math.floor(random.next() * 12);
    let left = 5;
    fleet.watcher = ({ worker }) => {
      if (left === 0 || --countdown > 0) return;
      const victim = [...alive, operator].find(({ life }) => life === worker);
      if (victim === undefined || victim.life.state !== "running") return;
      countdown = 3 + Math.floor(random.next() * 25);
      left--;
      kills++;
      fleet.kafka.crash(victim.port);
    };
    for (let round = 0; round < 12; round++) {
      redriveBy(operator, fleet, { ratePerS: 40 }).catch(() => undefined);
      await fleet.clock.advance(500 + Math.floor(random.next() * 2_000));
      // Newer records come meanwhile.
      if (round === 2) await fleet.sendRecords(numbers(100, 130));
      for (const [i, { life }] of alive.entries())
        if (life.state === "crashed") alive[i] = await fleet.join();
      if (operator.life.state === "crashed") operator = operatorOf(fleet);
    }
    fleet.watcher = () => undefined;
    await redriveAll(fleet);
    await fleet.drained();
    assert.deepEqual(madeBy(fleet), expectedOf(range(130)), `seed ${String(seed)}`);
    assert.deepEqual(stateCounts(fleet), { resolved: 20 }, `seed ${String(seed)}`);
    assert.equal(redriveRecords(fleet).length, 20, `seed ${String(seed)}`);
  }
  assert.ok(kills > 3 * SEEDS, String(kills));
});
