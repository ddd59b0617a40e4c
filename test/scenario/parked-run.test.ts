// A run of the reprocessor over a pipeline that parks keys: it is not done while one waits, though everything is read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isSettled, standingOf } from "../../src/engine/reprocess/control/standing.ts";
import type { RunRange } from "../../src/engine/reprocess/run/run.ts";
import { answers, callFlow, retry, Service } from "../support/call-flow.ts";
import { Fleet } from "../support/fleet.ts";
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
    (await fleet.during(standingOf(plan, range, ports))).isDone;
  const isDone = (): Promise<boolean> => fleet.during(isSettled(plan, range, ports));

  await fleet.send("asks", [{ n: 0 }, { n: 1 }, { n: 2 }]);
  await fleet.join();
  await fleet.clock.advance(2_000);
  assert.deepEqual([await isRead(), await isDone()], [true, false]);
  assert.equal(fleet.values(answers).length, 0);
  isDown = false;
  await fleet.clock.advance(3_600_000);
  assert.deepEqual([await isRead(), await isDone()], [true, true]);
  assert.equal(fleet.values(answers).length, 3);
});
