import assert from "node:assert/strict";
import { test } from "node:test";
import {
  livenessOf,
  mergeHealth,
  readinessOf,
  type TaskHealth,
  type TaskStatus,
  type WorkerFacts,
} from "../../../src/engine/observe/health.ts";
import { NO_TIME } from "../../../src/engine/core/event-time.ts";
import type { Labels } from "../../../src/engine/core/ports.ts";
import { catalogue } from "../../../src/engine/observe/catalogue.ts";
import {
  shownWait,
  WaitGauges,
  type PipelineWait,
  type ShownWait,
} from "../../../src/engine/observe/time-waits.ts";
import { RecordingMeter } from "../../../src/engine/testing/doubles/recording-meter.ts";

const address = { pipeline: "orders", part: "main", topic: "orders", partition: 2 };
const task = (state: TaskStatus): TaskHealth => ({ ...address, ...state });
const running = task({ state: "running" });
const halted = task({
  state: "stopped",
  code: "MILL_TABLE_DIFFERS",
  message: "a column is away",
  sinceMs: 1_000,
});

const worker = (facts: Partial<WorkerFacts> = {}): WorkerFacts => ({
  isJoined: true,
  passAgeMs: 10,
  passAgeMsMax: 30_000,
  tasks: [running],
  ...facts,
});

test("a worker whose tasks all run is live and ready", () => {
  assert.equal(livenessOf(worker()).ok, true);
  assert.deepEqual(readinessOf(worker()), { ok: true, reasons: [], tasks: [running] });
});

test("a worker that joined and owns no task is ready: there are more workers than partitions", () => {
  assert.equal(readinessOf(worker({ tasks: [] })).ok, true);
});

test("a worker that has not joined its groups is live and not ready", () => {
  const facts = worker({ isJoined: false, tasks: [] });
  assert.equal(livenessOf(facts).ok, true);
  assert.equal(readinessOf(facts).ok, false);
});

test("a worker whose start waits for a server says for which", () => {
  const facts = worker({ isJoined: false, tasks: [], waitingFor: "registry is away" });
  assert.deepEqual(readinessOf(facts).reasons, [
    "not yet a member of every consumer group: registry is away",
  ]);
});

for (const [name, state] of [
  ["starting", task({ state: "starting" })],
  ["paused", task({ state: "paused", why: "MILL_REDIS_UNAVAILABLE" })],
  ["stopped", halted],
] as const) {
  test(`a task that is ${name} makes the worker not ready, and leaves it live`, () => {
    const facts = worker({ tasks: [running, state] });
    assert.equal(livenessOf(facts).ok, true);
    const ready = readinessOf(facts);
    assert.equal(ready.ok, false);
    assert.equal(ready.reasons.length, 1);
    assert.match(ready.reasons[0] ?? "", new RegExp(`^orders\\.main orders-2 .*${name}`));
    assert.deepEqual(ready.tasks, [running, state]);
  });
}

test("the reason of a paused or stopped task carries its code", () => {
  const paused = task({ state: "paused", why: "MILL_REDIS_UNAVAILABLE" });
  const { reasons } = readinessOf(worker({ tasks: [paused, halted] }));
  assert.deepEqual(reasons, [
    "orders.main orders-2 is paused: MILL_REDIS_UNAVAILABLE",
    "orders.main orders-2 has stopped: MILL_TABLE_DIFFERS a column is away",
  ]);
});

test("a loop that has not turned for too long is neither live nor ready", () => {
  const facts = worker({ passAgeMs: 30_001 });
  assert.equal(livenessOf(facts).ok, false);
  assert.equal(readinessOf(facts).ok, false);
  assert.equal(livenessOf(worker({ passAgeMs: 30_000 })).ok, true);
});

test("several processes are ok only if each is, and a silent one is not", () => {
  const good = readinessOf(worker());
  const bad = readinessOf(worker({ tasks: [halted] }));
  assert.equal(mergeHealth([good, good]).ok, true);
  assert.deepEqual(mergeHealth([good, bad]).tasks, [running, halted]);
  assert.equal(mergeHealth([good, bad]).ok, false);
  assert.deepEqual(mergeHealth([good, null]).reasons, ["a worker process does not answer"]);
});

const waitOf = (facts: Partial<PipelineWait> = {}): PipelineWait => ({
  ...{ pipeline: "shop", part: "main", operator: "by-user", topic: "views", partition: 3 },
  ...{ isWriter: false, isQueued: false, delayMs: 0, timeMs: 1_000_000, fastestMs: 1_000_000 },
  ...facts,
});

test("ready names the partition that an operator waits for, and how far it is behind; it stays ready", () => {
  const time = [shownWait(waitOf({ fastestMs: 1_311_000 }), 1_312_400)];
  const ready = readinessOf(worker({ time }));
  assert.equal(ready.ok, true);
  assert.deepEqual(ready.time, [
    {
      ...{ pipeline: "shop", part: "main", operator: "by-user", topic: "views", partition: 3 },
      ...{ of: "source", time: "1970-01-01T00:16:40.000Z" },
      ...{ behindSeconds: 312, behindFastestSeconds: 311 },
      why: "shop.main by-user waits for views-3: its time is 1970-01-01T00:16:40.000Z, 312 seconds behind the wall clock and 311 seconds behind the fastest",
    },
  ]);
  assert.equal("time" in readinessOf(worker()), false, "where no operator asks for time");
});

test("a wait says which task writes, what has no time yet, and which keys are queued", () => {
  const whyOf = (facts: Partial<PipelineWait>): string => shownWait(waitOf(facts), 1_060_000).why;
  assert.equal(
    whyOf({ isWriter: true }),
    "shop.main by-user waits for task 3, which writes views: its time is 1970-01-01T00:16:40.000Z, 1 minute behind the wall clock",
  );
  const behindBy = (seconds: number): string => whyOf({ timeMs: 1_060_000 - seconds * 1_000 });
  assert.match(behindBy(599), /, 599 seconds behind the wall clock/);
  assert.match(behindBy(640), /, 11 minutes behind the wall clock/);
  assert.match(behindBy(9_000), /, 3 hours behind the wall clock/);
  assert.match(behindBy(334.4 * 86_400), /, 334 days behind the wall clock/);
  assert.match(whyOf({ timeMs: NO_TIME }), /waits for views-3: it has no time yet$/);
  assert.match(whyOf({ isQueued: true }), /waits for views-3: keys of its task are queued/);
  assert.equal(shownWait(waitOf({ timeMs: NO_TIME }), 0).behindSeconds, null);
  assert.equal(shownWait(waitOf(), 0).behindSeconds, 0, "ahead of the wall clock is not behind");
});

test("of several processes the slowest wait of each operator counts", () => {
  const at = (timeMs: number, partition: number) => shownWait(waitOf({ timeMs, partition }), 9e6);
  const of = (...times: ShownWait[]) => readinessOf(worker({ time: times }));
  const merged = mergeHealth([of(at(5e6, 0)), of(at(4e6, 1)), of(at(6e6, 2)), null]);
  assert.deepEqual(
    merged.time?.map(({ partition }) => partition),
    [1],
  );
  const unheard = mergeHealth([of(at(4e6, 1)), of(at(NO_TIME, 2))]);
  assert.deepEqual(
    unheard.time?.map(({ partition }) => partition),
    [2],
  );
});

test("the gauge has one series an operator: another one when another partition is the slowest", () => {
  const meter = new RecordingMeter(catalogue);
  const gauges = new WaitGauges(meter);
  const seconds = (labels: Labels = {}) => meter.gauges("millrace_time_held_by", labels);
  gauges.publish([waitOf()], 1_020_000);
  assert.deepEqual(seconds({ operator: "by-user", topic: "views", partition: "3" }), [20]);
  gauges.publish([waitOf({ partition: 1, timeMs: NO_TIME })], 1_030_000);
  assert.deepEqual(seconds({ partition: "3" }), []);
  gauges.publish([waitOf({ partition: 1, timeMs: NO_TIME })], 1_042_500);
  assert.deepEqual(seconds(), [12.5], "without a time it counts since it was first seen");
  gauges.publish([], 1_050_000);
  assert.deepEqual(seconds(), []);
});
