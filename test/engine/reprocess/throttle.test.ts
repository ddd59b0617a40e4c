// The law by which a run yields, against a live pipeline in virtual time, and the pace that keeps to a rate.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nextRate } from "../../../src/engine/reprocess/control/throttle.ts";
import { RunPace } from "../../../src/engine/reprocess/run/bounds.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";

const facts = { lagMs: 0, lagLimitMs: 10_000, measured: 20_000, current: null, max: null };

test("nobody live is no reason to yield, and what was asked for holds", () => {
  assert.equal(nextRate({ ...facts, lagMs: null, current: 0 }), null);
  assert.equal(nextRate({ ...facts, lagMs: null, current: 0, max: 500 }), 500);
  assert.equal(nextRate({ ...facts, lagMs: 100, max: 500 }), 500);
});

test("above half of the limit the rate is halved, at the limit nothing is read", () => {
  assert.equal(nextRate({ ...facts, lagMs: 5_001 }), 10_000);
  assert.equal(nextRate({ ...facts, lagMs: 5_001, current: 8_000 }), 4_000);
  assert.equal(nextRate({ ...facts, lagMs: 10_000, current: 8_000 }), 0);
  assert.equal(nextRate({ ...facts, lagMs: 6_000, current: 0 }), 0);
});

test("a low lag lets more through step by step, never above what was asked for", () => {
  assert.equal(nextRate({ ...facts, lagMs: 100, current: 0, measured: 0 }), 100);
  assert.equal(nextRate({ ...facts, lagMs: 100, current: 1_000, measured: 1_000 }), 1_350);
  assert.equal(nextRate({ ...facts, lagMs: 100, current: 1_000, max: 1_200 }), 1_200);
  assert.equal(nextRate({ ...facts, lagMs: 100, current: 100_000, measured: 2_000 }), null);
  assert.equal(nextRate({ ...facts, lagMs: 4_000, current: 1_000 }), 1_000);
});

/** One machine for both: what the run reads, live lacks. */
function simulate(capacity: number, liveRate: number): { maxLagMs: number; read: number } {
  let [queued, rate, maxLagMs, read] = [0, null as number | null, 0, 0];
  for (let second = 0; second < 600; second++) {
    // Without a limit the run takes two thirds of the machine.
    const taken = Math.min(rate ?? Infinity, (capacity * 2) / 3);
    read += taken;
    const drained = Math.min(queued + liveRate, capacity - taken);
    queued += liveRate - drained;
    const lagMs = (queued / liveRate) * 1_000;
    maxLagMs = Math.max(maxLagMs, lagMs);
    rate = nextRate({ lagMs, lagLimitMs: 10_000, measured: taken, current: rate, max: null });
  }
  return { maxLagMs, read };
}

test("live lag stays below its limit, and the run still gets most of what live leaves", () => {
  for (const liveRate of [2_000, 10_000, 15_000]) {
    const { maxLagMs, read } = simulate(20_000, liveRate);
    assert.ok(maxLagMs < 10_000, `${String(liveRate)}/s live: lag ${String(maxLagMs)} ms`);
    const left = (20_000 - liveRate) * 600;
    assert.ok(
      read > 0.4 * Math.min(left, 8_000_000),
      `${String(liveRate)}/s live: ${String(read)} read of ${String(left)}`,
    );
  }
});

test("a pace gives so many records a second, in runs of any size", async () => {
  const clock = new FakeClock();
  const pace = new RunPace(clock);
  const { signal } = new AbortController();
  let given = 0;
  void (async () => {
    for (;;) {
      await pace.take(500, signal);
      given += 500;
    }
  })();
  const startMs = clock.now();
  pace.set(2_000);
  await clock.advance(10_000);
  const perSecond = (given * 1_000) / (clock.now() - startMs);
  assert.ok(perSecond > 1_800 && perSecond < 2_200, String(perSecond));
});

test("a pace of nothing waits until it is set again, and ends with its signal", async () => {
  const clock = new FakeClock();
  const pace = new RunPace(clock);
  pace.set(0);
  assert.equal(pace.isOpen, false);
  let isTaken = false;
  void pace.take(1, new AbortController().signal).then(() => (isTaken = true));
  await clock.advance(5_000);
  assert.equal(isTaken, false);
  pace.set(null);
  await clock.advance(500);
  assert.equal(isTaken, true);
  pace.set(0);
  const life = new AbortController();
  const waiting = pace.take(1, life.signal);
  life.abort(new Error("over"));
  await assert.rejects(waiting, /over/);
});
