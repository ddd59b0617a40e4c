import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import { WorkerSwitch, workerClock } from "../../../src/engine/testing/doubles/worker-switch.ts";

test("wakes sleepers in order of due time, then of arrival, each at its own time", async () => {
  const clock = new FakeClock(0);
  const woken: string[] = [];
  const sleeper = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name}@${String(clock.now())}`);
  };
  void sleeper("c", 20);
  void sleeper("a", 10);
  void sleeper("b", 10);
  void sleeper("d", 31);
  await clock.advance(30);
  assert.deepEqual(woken, ["a@10", "b@10", "c@20"]);
  assert.equal(clock.now(), 30);
  assert.equal(clock.nextDue(), 31);
});

test("settles what a sleeper does, further sleeps included, before the next one wakes", async () => {
  const clock = new FakeClock(0);
  const seen: string[] = [];
  const first = async (): Promise<void> => {
    await clock.sleep(10);
    for (let i = 0; i < 50; i++) await Promise.resolve();
    seen.push("first");
    await clock.sleep(5);
    seen.push("again");
  };
  const second = async (): Promise<void> => {
    await clock.sleep(15);
    seen.push("second");
  };
  void first();
  void second();
  await clock.advance(15);
  assert.deepEqual(seen, ["first", "second", "again"]);
});

test("ends a sleep of nothing at the next advance, also of nothing", async () => {
  const clock = new FakeClock(7);
  let isAwake = false;
  void clock.sleep(0).then(() => (isAwake = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isAwake, false);
  await clock.advance(0);
  assert.equal(isAwake, true);
  assert.equal(clock.now(), 7);
});

test("rejects an aborted sleep with the signal's reason, and forgets it", async () => {
  const clock = new FakeClock(0);
  const life = new AbortController();
  const sleeping = clock.sleep(10, life.signal);
  const other = clock.sleep(20);
  const reason = new Error("enough");
  life.abort(reason);
  await assert.rejects(sleeping, reason);
  await assert.rejects(clock.sleep(10, life.signal), reason);
  assert.equal(clock.nextDue(), 20);
  await clock.advance(20);
  await other;
});

test("moves from sleeper to sleeper until something is true, and no further", async () => {
  const clock = new FakeClock(0);
  let beats = 0;
  const beat = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(100);
      beats++;
    }
  };
  void beat();
  assert.equal(await clock.advanceUntil(() => beats === 3, 10_000), true);
  assert.equal(clock.now(), 300);
  assert.equal(await clock.advanceUntil(() => false, 250), false);
  assert.equal(beats, 5);
});

test("refuses to be moved from two places at once", async () => {
  const clock = new FakeClock(0);
  const first = clock.advance(10);
  await assert.rejects(clock.advance(10), /two places/);
  await first;
});

test("gives the same numbers and tokens for the same seed, and others for another", () => {
  const draw = (seed: number): readonly unknown[] => {
    const random = seededRandom(seed);
    return [random.next(), random.next(), random.token(12)];
  };
  assert.deepEqual(draw(42), draw(42));
  assert.notDeepEqual(draw(42), draw(43));
  const random = seededRandom(1);
  const numbers = Array.from({ length: 10_000 }, () => random.next());
  assert.ok(numbers.every((n) => n >= 0 && n < 1));
  const mean = numbers.reduce((a, b) => a + b) / numbers.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02);
  assert.match(random.token(40), /^[a-z0-9]{40}$/);
});

test("a frozen worker's sleep ends when it is thawed, a crashed one's never", async () => {
  const clock = new FakeClock(0);
  const worker = new WorkerSwitch();
  const own = workerClock(clock, worker);
  const ended: number[] = [];
  void own.sleep(10).then(() => void ended.push(clock.now()));
  worker.freeze();
  await clock.advance(50);
  assert.equal(ended.length, 0);
  worker.thaw();
  await clock.advance(0);
  assert.deepEqual(ended, [50]);
  void own.sleep(10).then(() => ended.push(clock.now()));
  worker.crash();
  await clock.advance(50);
  assert.deepEqual(ended, [50]);
  assert.throws(() => worker.thaw(), /frozen/);
});

test("a worker that crashes while it is frozen stays crashed", async () => {
  const worker = new WorkerSwitch();
  worker.freeze();
  let hasPassed = false;
  void worker.passed().then(() => (hasPassed = true));
  worker.crash();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasPassed, false);
  assert.equal(worker.state, "crashed");
});

test("a worker that is frozen again before it has moved stands still", async () => {
  const worker = new WorkerSwitch();
  worker.freeze();
  let hasPassed = false;
  void worker.passed().then(() => (hasPassed = true));
  worker.thaw();
  worker.freeze();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasPassed, false);
  worker.thaw();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasPassed, true);
});

test("the wall clock jumps, and no timer notices; it shows whole milliseconds", async () => {
  const clock = new FakeClock(1_000);
  let isWoken = false;
  void clock.sleep(10).then(() => (isWoken = true));
  clock.jump(86_400_000);
  await clock.advance(9);
  assert.deepEqual([isWoken, clock.now()], [false, 86_401_009]);
  clock.jump(-86_400_000);
  await clock.advance(1.5);
  assert.deepEqual([isWoken, clock.now()], [true, 1_010]);
});
