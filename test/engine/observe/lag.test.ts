import assert from "node:assert/strict";
import { test } from "node:test";
import { lagOf } from "../../../src/engine/observe/lag.ts";

const now = 1_000_000;

test("a task that has read everything lags by 0 records and 0 seconds", () => {
  const facts = { nextOffset: 10n, endOffset: 10n, oldestUncommittedMs: now - 60_000 };
  assert.deepEqual(lagOf(facts, now), { records: 0, seconds: 0 });
});

test("a task behind lags by the age of the record that waits for it", () => {
  const facts = { nextOffset: 7n, endOffset: 10n, oldestUncommittedMs: now - 2_500 };
  assert.deepEqual(lagOf(facts, now), { records: 3, seconds: 2.5 });
});

test("seconds are unknown, not 0, while the record that waits has not been fetched", () => {
  const facts = { nextOffset: 7n, endOffset: 10n, oldestUncommittedMs: null };
  assert.deepEqual(lagOf(facts, now), { records: 3, seconds: null });
});

test("a producer's clock that runs ahead gives 0 seconds, never less", () => {
  const facts = { nextOffset: 7n, endOffset: 8n, oldestUncommittedMs: now + 5_000 };
  assert.deepEqual(lagOf(facts, now), { records: 1, seconds: 0 });
});

test("an end offset read before the commit does not give a negative lag", () => {
  const facts = { nextOffset: 12n, endOffset: 10n, oldestUncommittedMs: null };
  assert.deepEqual(lagOf(facts, now), { records: 0, seconds: 0 });
});

test("offsets beyond 2^53 are subtracted before they become numbers", () => {
  const start = 2n ** 60n;
  const facts = { nextOffset: start + 1n, endOffset: start + 4n, oldestUncommittedMs: now };
  assert.equal(lagOf(facts, now).records, 3);
});
