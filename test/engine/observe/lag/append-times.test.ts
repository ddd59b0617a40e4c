import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AppendTimes } from "../../../../src/engine/observe/lag/append-times.ts";

const at = (times: AppendTimes, offset: bigint, oldest: number | null = null) =>
  times.at(offset, oldest);

test("a record has the time at which a fetch first saw the log go beyond it", () => {
  const times = new AppendTimes();
  times.see(0n, 100);
  times.see(0n, 150);
  times.see(3n, 200);
  times.see(5n, 300);
  assert.deepEqual(at(times, 2n), { timeMs: 200, isAtLeast: false });
  assert.deepEqual(at(times, 3n), { timeMs: 300, isAtLeast: false });
  assert.equal(at(times, 5n), null);
});

test("what a look finds was appended between it and the one before", () => {
  const times = new AppendTimes();
  times.look(0n, 1_000);
  times.look(4n, 2_000);
  assert.equal(at(times, 0n)?.timeMs, 1_500);
});

test("what was there at the first sight is at least as old", () => {
  const times = new AppendTimes();
  times.see(8n, 1_000);
  assert.deepEqual(at(times, 3n), { timeMs: 1_000, isAtLeast: true });
  times.mark([{ nextOffset: 5n, timeMs: 400, by: "broker" }]);
  assert.deepEqual(at(times, 3n), { timeMs: 400, isAtLeast: false });
  assert.deepEqual(at(times, 5n), { timeMs: 1_000, isAtLeast: true });
  assert.deepEqual([times.isOpen(3n), times.isOpen(5n), times.isOpen(8n)], [false, true, false]);
});

test("a producer's time is taken within bounds, and never where one was seen to be wrong", () => {
  const times = new AppendTimes();
  times.see(2n, 100_000);
  times.mark([{ nextOffset: 2n, timeMs: 60_000, by: "producer" }]);
  assert.deepEqual(at(times, 0n, 50_000), { timeMs: 60_000, isAtLeast: false });
  assert.equal(at(times, 0n, 70_000)?.isAtLeast, true, "older than the topic keeps");
  assert.equal(at(times, 0n, null)?.isAtLeast, true, "a topic of our own");
  times.see(3n, 101_000);
  times.mark([{ nextOffset: 3n, timeMs: 100_500, by: "producer" }]);
  assert.equal(at(times, 0n, 50_000)?.isAtLeast, false, "right so far");
  times.see(4n, 102_000);
  times.mark([{ nextOffset: 4n, timeMs: 80_000, by: "producer" }]);
  assert.equal(at(times, 0n, 50_000)?.isAtLeast, true);
});

test("a log that ends earlier for a moment keeps what is known below", () => {
  const times = new AppendTimes();
  times.see(0n, 100);
  times.see(4n, 200);
  times.see(9n, 300);
  times.see(6n, 400);
  assert.equal(times.end, 6n);
  times.see(9n, 500);
  assert.deepEqual(
    [0n, 4n, 5n, 6n].map((offset) => at(times, offset)?.timeMs),
    [200, 300, 300, 500],
  );
  times.see(2n, 600);
  assert.deepEqual([times.end, at(times, 1n)?.timeMs], [2n, 200]);
});

test("where nothing but control records lies, the next record counts", () => {
  const times = new AppendTimes();
  times.see(0n, 100);
  times.skip(3n, 6n);
  assert.deepEqual(
    [2n, 3n, 5n, 6n].map((offset) => times.pass(offset)),
    [2n, 6n, 6n, 6n],
  );
});

test("progress that goes back behind what was forgotten is at least as old", () => {
  const times = new AppendTimes();
  times.see(0n, 100);
  times.see(4n, 200);
  times.see(8n, 300);
  times.forget(4n);
  assert.deepEqual(at(times, 4n), { timeMs: 300, isAtLeast: false });
  assert.deepEqual(at(times, 1n), { timeMs: 300, isAtLeast: true });
});

test("an hour of steady growth is kept in few entries, exact for the oldest and to a hundredth after it", () => {
  const times = new AppendTimes();
  times.see(0n, 0);
  for (let i = 1; i <= 100_000; i++) times.see(BigInt(i), i * 40);
  assert.equal(at(times, 0n)?.timeMs, 40);
  for (const i of [10, 1_000, 50_000, 99_000]) {
    const off = (at(times, BigInt(i))?.timeMs ?? 0) - (i + 1) * 40;
    assert.ok(off >= 0 && off <= 100_000 * 40 * 0.01, `${i}: ${off} ms`);
  }
});

test("property: the time is never before the true one, and exact where nothing was thinned out", () => {
  const growth = fc.array(fc.tuple(fc.bigInt(0n, 5n), fc.nat(1_000)), { maxLength: 200 });
  fc.assert(
    fc.property(growth, fc.nat(100), (steps, forgotten) => {
      const times = new AppendTimes();
      const truth: number[] = [];
      let [end, now] = [0n, 1];
      times.see(end, now);
      for (const [more, ms] of steps) {
        now += ms;
        for (let i = 0n; i < more; i++) truth.push(now);
        end += more;
        times.see(end, now);
      }
      const below = Math.min(forgotten, truth.length);
      times.forget(BigInt(below));
      for (let i = below; i < truth.length; i++)
        assert.equal(times.at(BigInt(i), null)?.timeMs, truth[i]);
      assert.equal(times.at(end, null), null);
      assert.equal(times.end, end);
    }),
  );
});
