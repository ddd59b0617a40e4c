// The life of a task: it moves on as its class comment draws it, and in no other way.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "../../../src/engine/core/errors.ts";
import { Task, type Life, type TaskOptions } from "../../../src/engine/runtime/task/task.ts";

const address = { pipeline: "flow", part: "main", topic: "in", partition: 3 };
const stop = { code: "MILL_STATE_TYPE", message: "spoiled", sinceMs: 5 } as const;
const progress = { kind: "forward", from: 10n, next: 15n, end: 30n } as const;

const newTask = (): Task =>
  new Task({ address, partitions: [{ topic: "in", partition: 3 }] } as unknown as TaskOptions);

/** Leads to each state, in the shortest way. */
const leadTo: Readonly<Record<Exclude<Life["at"], "running">, (task: Task) => void>> = {
  assigned: () => undefined,
  restoring: (task) => task.restore(progress),
  stopped: (task) => task.stop(stop),
  closed: (task) => task.close(),
};

const refused: readonly [from: keyof typeof leadTo, move: "stop" | "close"][] = [
  ["stopped", "stop"],
  ["closed", "stop"],
  ["closed", "close"],
];

for (const [from, move] of refused)
  test(`a task that is ${from} refuses to ${move}`, () => {
    const task = newTask();
    leadTo[from](task);
    assert.throws(() => (move === "stop" ? task.stop(stop) : task.close()), InvariantError);
    assert.equal(task.life.at, from);
  });

test("a closed task does not run", async () => {
  const valve = { seek: () => undefined, pause: () => undefined, resume: () => undefined };
  const options = { context: { limits: {} }, bound: { part: {} }, address, partitions: [] };
  const closed = new Task(options as unknown as TaskOptions);
  closed.close();
  const work = () => ({}) as never;
  await assert.rejects(
    closed.run({ starts: [], lineage: {} as never, proofs: {} as never }, valve, work),
    /a task that is closed does not become running/,
  );
});

test("what is heard late of a copy changes no task that has stopped or is closed", () => {
  for (const from of ["stopped", "closed"] as const) {
    const task = newTask();
    leadTo[from](task);
    task.restore(progress);
    assert.equal(task.life.at, from);
  }
});

test("a task shows how far its state is restored, and why it has stopped", () => {
  const task = newTask();
  assert.deepEqual(task.status, { state: "starting" });
  task.restore(progress);
  assert.deepEqual(task.status, {
    state: "starting",
    why: "restores state: 5 of 20 changes",
  });
  task.restore(null);
  assert.deepEqual(task.status, { state: "starting" });
  task.stop(stop);
  assert.deepEqual(task.status, { state: "stopped", ...stop });
  assert.equal(task.signal.aborted, false);
  task.close();
  assert.equal(task.signal.aborted, true);
});
