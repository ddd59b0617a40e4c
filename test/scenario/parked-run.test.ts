// A run of the reprocessor over a pipeline that parks keys: it is not done while one waits, though everything is read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { watchRun } from "../../src/engine/reprocess/control/controller.ts";
import { progressOfRun } from "../../src/engine/reprocess/control/run-progress.ts";
import type { ReprocessPorts } from "../../src/engine/reprocess/words/ports.ts";
import type { RunRange } from "../../src/engine/reprocess/words/run.ts";
import { answers, callFlow, retry, Service } from "../support/call-flow.ts";
import { WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { Fleet } from "../support/fleet.ts";
import { Row, rowOf } from "../support/promoting.ts";
import { operatorOf } from "../support/redriving.ts";

test("a run is not done while a key is parked, and is when it was released", async () => {
  const fleet = new Fleet([callFlow(retry("park-key", { attempts: 1_000 }))]);
  let isDown = true;
  fleet.openResource = () =>
    Promise.resolve({
      client: new Service(fleet.clock, () => (isDown ? "fails" : "answers")),
      close: () => Promise.resolve(),
    });
  const [plan] = fleet.plans;
  assert.ok(plan !== undefined);
  const places = [0, 1].map((partition) => {
    const at = { part: "main", topic: "asks", partition };
    return { ...at, from: 0n, to: partition === 0 ? 3n : 0n };
  });
  const range: RunRange = { places, own: [], pins: {} };
  const { ports } = operatorOf(fleet);
  const isRead = async (): Promise<boolean> =>
    (await fleet.during(progressOfRun(plan, { range, options: {} }, ports))).isDone;
  const runs = new Row(rowOf({ pipeline: "flow", run: 1, step: "range", range, follow: false }));
  const watching = { ...ports, runs: runs.reached(new WorkerSwitch()) };

  await fleet.send("asks", [{ n: 0 }, { n: 1 }, { n: 2 }]);
  await fleet.join();
  const ended = watchRun(runs.row, {
    plan,
    shadow: plan,
    ports: watching as unknown as ReprocessPorts,
    signal: new AbortController().signal,
    report: () => undefined,
    waiting: (why) => assert.fail(why),
  });
  await fleet.clock.advance(5_000);
  assert.deepEqual([await isRead(), runs.row.state], [true, "running"]);
  assert.equal(fleet.values(answers).length, 0);
  isDown = false;
  assert.equal((await fleet.during(ended, 3_600_000)).state, "done");
  assert.equal(fleet.values(answers).length, 3);
});
