import assert from "node:assert/strict";
import { test } from "node:test";
import { AppendTimes } from "../../../../src/engine/observe/lag/append-times.ts";
import { lagOf, type LagFacts } from "../../../../src/engine/observe/lag/lag.ts";

const now = 1_000_000;

/** The log was empty 20 s ago, and has ended at `end` since `ageMs` ago. */
function facts(committed: bigint, end: bigint, ageMs = 2_500): LagFacts {
  const times = new AppendTimes();
  times.see(0n, now - 20_000);
  times.see(end, now - ageMs);
  return { committed, times, end: null, oldestClaimMs: null };
}

test("a task that has read everything lags by 0 records and 0 seconds", () => {
  assert.deepEqual(lagOf(facts(10n, 10n), now), { records: 0, seconds: 0, isAtLeast: false });
});

test("a task behind lags by the time since the record was appended that waits for it", () => {
  assert.deepEqual(lagOf(facts(7n, 10n), now), { records: 3, seconds: 2.5, isAtLeast: false });
});

test("lag is not known before the log was seen", () => {
  const unseen = { ...facts(7n, 10n), times: new AppendTimes() };
  assert.equal(lagOf(unseen, now), null);
});

test("a clock that was put back gives 0 seconds, never less", () => {
  assert.equal(lagOf(facts(7n, 8n, -5_000), now)?.seconds, 0);
});

test("an end that was seen before the commit does not give a negative lag", () => {
  assert.equal(lagOf(facts(12n, 10n), now)?.records, 0);
});

test("offsets beyond 2^53 are subtracted before they become numbers", () => {
  const start = 2n ** 60n;
  assert.equal(lagOf(facts(start + 1n, start + 4n), now)?.records, 3);
});

test("a bounded run lags up to its end only", () => {
  assert.equal(lagOf({ ...facts(7n, 10n), end: 8n }, now)?.records, 1);
  assert.equal(lagOf({ ...facts(8n, 10n), end: 8n }, now)?.records, 0);
});
