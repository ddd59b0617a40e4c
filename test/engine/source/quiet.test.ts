// I1, I2, K2: when a source counts as quiet, and what is asserted of it then.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TIME, SourceTime } from "../../../src/engine/core/event-time.ts";
import type { ClockReading } from "../../../src/engine/core/ports.ts";
import { unknownTopic } from "../../../src/engine/define/nodes/plan-topic.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import { TaskInputs } from "../../../src/engine/core/task-inputs.ts";
import { QuietSources } from "../../../src/engine/source/quiet.ts";

const planTopic = { ...unknownTopic, name: "in" };
const AFTER = 30_000;
const DAY = 86_400_000;
const TAKEN_OVER = 5 * DAY;

/** So long after the takeover by the monotonic clock; by a wall clock that nobody has set, when it is left out. */
const at = (wallMs: number, passedMs = wallMs - TAKEN_OVER): ClockReading => ({
  wallMs,
  monotonicMs: passedMs,
});

/** The end is in sight all the time. */
function watch(quiet: QuietSources, fromMs: number, toMs: number): void {
  for (let ms = fromMs; ms < toMs; ms += 1_000) quiet.seen("in", 7n, at(ms));
}

function source(timeMs: number | null, idleAfterMs = AFTER) {
  const stored = timeMs === null ? {} : { time: timeMs };
  const start = { topic: "in", partition: 0, nextOffset: 7n, ledger: emptyLedger(), time: stored };
  const inputs = new TaskInputs(0, [start], (_, time) => new SourceTime(time));
  const topic = { ...planTopic, idleAfterMs };
  const quiet = QuietSources.of(inputs, [topic], 0);
  assert.ok(quiet !== null);
  return { inputs, quiet };
}

test("I1: a source is quiet idleAfter behind its last record, and behind the takeover (K2)", () => {
  const { inputs, quiet } = source(TAKEN_OVER - 60_000);
  watch(quiet, TAKEN_OVER, TAKEN_OVER + AFTER - 1);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER - 1)), false);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER)), true);
  assert.deepEqual(quiet.assert(), []);
  assert.equal(inputs.watermark("in"), TAKEN_OVER);
  quiet.read("in", TAKEN_OVER, at(TAKEN_OVER + AFTER));
  watch(quiet, TAKEN_OVER + AFTER, TAKEN_OVER + 2 * AFTER - 1);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + 2 * AFTER - 1)), false);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + 2 * AFTER)), true);
});

test("I1: a source is not quiet while records of it wait in the task, or in an open transaction", () => {
  const { quiet } = source(null);
  watch(quiet, TAKEN_OVER, TAKEN_OVER + 2 * AFTER - 1_000);
  // The end of the log, for readers of uncommitted records, lies elsewhere than what was worked.
  assert.equal(quiet.seen("in", 8n, at(TAKEN_OVER + 2 * AFTER)), false);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + 2 * AFTER)), true);
});

test("I2: what is asserted follows the wall clock by idleAfter, and never falls; T stays as the content says", () => {
  const { inputs, quiet } = source(1_000);
  watch(quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER)), true);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER + 1)), false, "next to nothing");
  assert.deepEqual(quiet.assert(), [], "nothing was read of it");
  const time = inputs.time("in");
  assert.ok(time instanceof SourceTime);
  assert.deepEqual([time.time, time.watermark], [1_000, TAKEN_OVER]);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER + 1_000)), true);
  assert.deepEqual([quiet.assert(), time.watermark], [[], TAKEN_OVER + 1_000]);
  // The wall clock is put back.
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER, AFTER + 2_000)), false);
  assert.deepEqual([quiet.assert(), time.watermark], [[], TAKEN_OVER + 1_000]);
});

test("I1: a wall clock that is set forward makes no source quiet, and one that is set back keeps none from it", () => {
  const { inputs, quiet } = source(null);
  quiet.read("in", NO_TIME, at(TAKEN_OVER));
  for (let passedMs = 0; passedMs < AFTER; passedMs += 1_000)
    assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + DAY + passedMs, passedMs)), false);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER - DAY + AFTER, AFTER)), true);
  quiet.assert();
  assert.equal(inputs.watermark("in"), TAKEN_OVER - DAY, "behind the wall clock, as it is then");
});

test("I2: a source without any record is as far as the wall clock says, and nobody warns", () => {
  const { inputs, quiet } = source(null);
  watch(quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  assert.equal(quiet.seen("in", 7n, at(TAKEN_OVER + AFTER)), true);
  assert.deepEqual(quiet.assert(), []);
  assert.equal(inputs.watermark("in"), TAKEN_OVER);
});

test("I1: an end that was out of sight for longer than half of idleAfter begins the wait anew: what an outage kept back comes behind it", () => {
  const { quiet } = source(null);
  const seen = (ms: number): boolean => quiet.seen("in", 7n, at(TAKEN_OVER + ms));
  // The broker is away, or a transaction is open, from here on.
  assert.equal(seen(AFTER / 2), false);
  assert.equal(seen(AFTER + 1), false, "it was gone for half of idleAfter and 1 ms");
  assert.equal(seen(AFTER + 1 + AFTER / 2), false);
  assert.equal(seen(2 * AFTER), false, "idleAfter has not passed since");
  assert.equal(seen(2 * AFTER + 1), true);
  // Just as long as is allowed.
  assert.equal(seen(2 * AFTER + 1 + AFTER / 2), true);
});

test("I1: an outage of less than two seconds counts for nothing, however short idleAfter is", () => {
  const short = source(null, 1_000);
  assert.equal(short.quiet.seen("in", 7n, at(TAKEN_OVER + 2_000)), true);
  const longer = source(null, 1_000);
  assert.equal(longer.quiet.seen("in", 7n, at(TAKEN_OVER + 2_001)), false);
});

test("a topic that does not say how long is waited for", () => {
  const { inputs } = source(1_000);
  assert.equal(QuietSources.of(inputs, [planTopic], 0), null);
});

const fed = (timeMs: number, assertedMs: number) => [
  { topic: "in", idleAfterMs: AFTER, timeMs, assertedMs },
];
/** As a task does: the slice is worked, then its input moves on. */
function feed({ inputs, quiet }: ReturnType<typeof source>, timeMs: number, nowMs: number): void {
  quiet.read("in", timeMs, at(nowMs));
  inputs.advance("in", 7n, timeMs, []);
}

test("history that was fed is warned of when its topic counts as quiet, once a task", () => {
  const own = source(null);
  feed(own, DAY, TAKEN_OVER);
  assert.deepEqual(own.quiet.assert(), [], "it is not quiet yet: nothing is late");
  watch(own.quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  assert.equal(own.quiet.seen("in", 7n, at(TAKEN_OVER + AFTER)), true);
  assert.deepEqual(own.quiet.assert(), fed(DAY, TAKEN_OVER));
  feed(own, DAY + 1, TAKEN_OVER + 2 * AFTER);
  assert.deepEqual(own.quiet.assert(), []);
  const again = source(DAY);
  feed(again, DAY + 1, TAKEN_OVER);
  watch(again.quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  again.quiet.seen("in", 7n, at(TAKEN_OVER + AFTER));
  assert.deepEqual(again.quiet.assert(), fed(DAY + 1, TAKEN_OVER), "a new task says it anew");
});

test("history that comes into a topic that counts as quiet is warned of when it comes", () => {
  const own = source(null);
  watch(own.quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  own.quiet.seen("in", 7n, at(TAKEN_OVER + AFTER));
  assert.deepEqual(own.quiet.assert(), []);
  feed(own, DAY, TAKEN_OVER + AFTER + 1);
  assert.deepEqual(own.quiet.assert(), fed(DAY, TAKEN_OVER));
});

test("nobody warns of records of today, of a topic that is quiet for days, and of old records beside new ones", () => {
  const own = source(null);
  feed(own, TAKEN_OVER - DAY, TAKEN_OVER);
  watch(own.quiet, TAKEN_OVER, TAKEN_OVER + 2 * DAY);
  own.quiet.seen("in", 7n, at(TAKEN_OVER + 2 * DAY));
  assert.deepEqual(own.quiet.assert(), [], "read when it was a day old, to the millisecond");
  const caughtUp = source(null);
  feed(caughtUp, DAY, TAKEN_OVER);
  feed(caughtUp, TAKEN_OVER - 1, TAKEN_OVER);
  watch(caughtUp.quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  caughtUp.quiet.seen("in", 7n, at(TAKEN_OVER + AFTER));
  assert.deepEqual(caughtUp.quiet.assert(), [], "what waited for long is worked off");
  feed(caughtUp, DAY, TAKEN_OVER + 2 * AFTER);
  assert.deepEqual(caughtUp.quiet.assert(), [], "late by its source, quiet or not");
});

test("records without a time say nothing of history", () => {
  const own = source(DAY);
  feed(own, NO_TIME, TAKEN_OVER);
  watch(own.quiet, TAKEN_OVER, TAKEN_OVER + AFTER);
  own.quiet.seen("in", 7n, at(TAKEN_OVER + AFTER));
  assert.deepEqual(own.quiet.assert(), []);
});
