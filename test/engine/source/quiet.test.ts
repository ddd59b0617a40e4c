// I1, I2, K2: when a source counts as quiet, and what is asserted of it then.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TIME, SourceTime } from "../../../src/engine/core/event-time.ts";
import { unknownTopic } from "../../../src/engine/define/nodes/plan-topic.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import { TaskInputs } from "../../../src/engine/core/task-inputs.ts";
import { QuietSources } from "../../../src/engine/source/quiet.ts";

const planTopic = { ...unknownTopic, name: "in" };
const AFTER = 30_000;
const DAY = 86_400_000;
const TAKEN_OVER = 5 * DAY;

function source(timeMs: number | null) {
  const stored = timeMs === null ? {} : { time: timeMs };
  const start = { topic: "in", partition: 0, nextOffset: 7n, ledger: emptyLedger(), time: stored };
  const inputs = new TaskInputs(0, [start], (_, time) => new SourceTime(time));
  const topic = { ...planTopic, idleAfterMs: AFTER };
  const quiet = QuietSources.of(inputs, [topic], TAKEN_OVER);
  assert.ok(quiet !== null);
  return { inputs, quiet };
}

test("I1: a source is quiet idleAfter behind its last record, and behind the takeover (K2)", () => {
  const { inputs, quiet } = source(TAKEN_OVER - 60_000);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER - 1), false);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER), true);
  assert.deepEqual(quiet.assert(), []);
  assert.equal(inputs.watermark("in"), TAKEN_OVER);
  quiet.read("in", TAKEN_OVER, TAKEN_OVER + AFTER);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + 2 * AFTER - 1), false);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + 2 * AFTER), true);
});

test("I1: a source is not quiet while records of it wait in the task, or in an open transaction", () => {
  const { quiet } = source(null);
  // The end of the log, for readers of uncommitted records, lies elsewhere than what was worked.
  assert.equal(quiet.seen("in", 8n, TAKEN_OVER + 2 * AFTER), false);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + 2 * AFTER), true);
});

test("I2: what is asserted follows the wall clock by idleAfter, and never falls; T stays as the content says", () => {
  const { inputs, quiet } = source(1_000);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER), true);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER + 1), false, "next to nothing");
  assert.deepEqual(quiet.assert(), [], "nothing was read of it");
  const time = inputs.time("in");
  assert.ok(time instanceof SourceTime);
  assert.deepEqual([time.time, time.watermark], [1_000, TAKEN_OVER]);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER + 1_000), true);
  assert.deepEqual([quiet.assert(), time.watermark], [[], TAKEN_OVER + 1_000]);
  // The wall clock is put back.
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER), false);
  assert.deepEqual([quiet.assert(), time.watermark], [[], TAKEN_OVER + 1_000]);
});

test("I2: a source without any record is as far as the wall clock says, and nobody warns", () => {
  const { inputs, quiet } = source(null);
  assert.equal(quiet.seen("in", 7n, TAKEN_OVER + AFTER), true);
  assert.deepEqual(quiet.assert(), []);
  assert.equal(inputs.watermark("in"), TAKEN_OVER);
});

test("a topic that does not say how long is waited for", () => {
  const { inputs } = source(1_000);
  assert.equal(QuietSources.of(inputs, [planTopic], TAKEN_OVER), null);
});

const fed = (timeMs: number, assertedMs: number) => [
  { topic: "in", idleAfterMs: AFTER, timeMs, assertedMs },
];
/** As a task does: the slice is worked, then its input moves on. */
function feed({ inputs, quiet }: ReturnType<typeof source>, timeMs: number, nowMs: number): void {
  quiet.read("in", timeMs, nowMs);
  inputs.advance("in", 7n, timeMs, []);
}

test("history that was fed is warned of when its topic counts as quiet, once a task", () => {
  const own = source(null);
  feed(own, DAY, TAKEN_OVER);
  assert.deepEqual(own.quiet.assert(), [], "it is not quiet yet: nothing is late");
  assert.equal(own.quiet.seen("in", 7n, TAKEN_OVER + AFTER), true);
  assert.deepEqual(own.quiet.assert(), fed(DAY, TAKEN_OVER));
  feed(own, DAY + 1, TAKEN_OVER + 2 * AFTER);
  assert.deepEqual(own.quiet.assert(), []);
  const again = source(DAY);
  feed(again, DAY + 1, TAKEN_OVER);
  again.quiet.seen("in", 7n, TAKEN_OVER + AFTER);
  assert.deepEqual(again.quiet.assert(), fed(DAY + 1, TAKEN_OVER), "a new task says it anew");
});

test("history that comes into a topic that counts as quiet is warned of when it comes", () => {
  const own = source(null);
  own.quiet.seen("in", 7n, TAKEN_OVER + AFTER);
  assert.deepEqual(own.quiet.assert(), []);
  feed(own, DAY, TAKEN_OVER + AFTER + 1);
  assert.deepEqual(own.quiet.assert(), fed(DAY, TAKEN_OVER));
});

test("nobody warns of records of today, of a topic that is quiet for days, and of old records beside new ones", () => {
  const own = source(null);
  feed(own, TAKEN_OVER - DAY, TAKEN_OVER);
  own.quiet.seen("in", 7n, TAKEN_OVER + 5 * DAY);
  assert.deepEqual(own.quiet.assert(), [], "read when it was a day old, to the millisecond");
  const caughtUp = source(null);
  feed(caughtUp, DAY, TAKEN_OVER);
  feed(caughtUp, TAKEN_OVER - 1, TAKEN_OVER);
  caughtUp.quiet.seen("in", 7n, TAKEN_OVER + AFTER);
  assert.deepEqual(caughtUp.quiet.assert(), [], "what waited for long is worked off");
  feed(caughtUp, DAY, TAKEN_OVER + 2 * AFTER);
  assert.deepEqual(caughtUp.quiet.assert(), [], "late by its source, quiet or not");
});

test("records without a time say nothing of history", () => {
  const own = source(DAY);
  feed(own, NO_TIME, TAKEN_OVER);
  own.quiet.seen("in", 7n, TAKEN_OVER + AFTER);
  assert.deepEqual(own.quiet.assert(), []);
});
