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
