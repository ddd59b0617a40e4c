// Letters when a run of the reprocessor takes the live pipeline's place: their records were read by the run, so none may come
// back, neither by a redrive that is at work nor by a later one, until the run gives the place back.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { isDrained } from "../../src/engine/operate/gate/drained.ts";
import { openGate, shutGate } from "../../src/engine/operate/gate/gate.ts";
import { reinstate, supersede } from "../../src/engine/operate/letters/superseded.ts";
import type { ShutState } from "../../src/engine/source/gate-note.ts";
import type { Fleet } from "../support/fleet.ts";
import {
  expectedOf,
  madeBy,
  operatorOf,
  planOf,
  range,
  redriveAll,
  refused,
  right,
  rule,
  stateCounts,
} from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const shut = (fleet: Fleet, state: ShutState): Promise<void> => {
  const { ports } = operatorOf(fleet);
  const facts = { code: "MILL_GATE_HELD", message: "a run takes its place", atMs: 1 };
  return fleet.during(
    shutGate(planOf(fleet), { ...facts, state, by: "promote", owner: "r1" }, { ports }),
  );
};

test("letters whose records a run has read are over, and open again when it gives the place back", async () => {
  const { fleet } = await refused();
  const { ports } = operatorOf(fleet);
  for (let twice = 0; twice < 2; twice++) await fleet.during(supersede(planOf(fleet), 1, ports));
  assert.deepEqual(stateCounts(fleet), { discarded: 20 });
  assert.equal((await redriveAll(fleet)).sent.length, 0);
  await fleet.during(reinstate(planOf(fleet), 2, ports));
  assert.deepEqual(stateCounts(fleet), { discarded: 20 }, "those of another run stay as they are");
  for (let twice = 0; twice < 2; twice++) await fleet.during(reinstate(planOf(fleet), 1, ports));
  assert.deepEqual(stateCounts(fleet), { open: 20 });
  assert.equal((await redriveAll(fleet)).sent.length, 20);
  await fleet.drained();
  assert.deepEqual(madeBy(fleet), expectedOf(range(100)));
});

test("while live is stopped for a run nothing is redriven; a halted pipeline may be sent its letters", async () => {
  const { fleet } = await refused(10);
  for (const state of ["draining", "closed"] as const) {
    await shut(fleet, state);
    await assert.rejects(redriveAll(fleet), /MILL_GATE_HELD|r1/);
    assert.deepEqual(stateCounts(fleet), {});
  }
  await shut(fleet, "halted");
  assert.equal((await redriveAll(fleet)).sent.length, 2);
});

test("what is on its way back is waited for, before live counts as drained", async () => {
  const { fleet } = await refused(10);
  const { ports } = operatorOf(fleet);
  const plan = planOf(fleet);
  await shut(fleet, "halted");
  await fleet.clock.advance(5_000);
  assert.equal(await fleet.during(isDrained(plan, ports)), true);
  await redriveAll(fleet);
  assert.equal(await fleet.during(isDrained(plan, ports)), false);
  await fleet.during(openGate(plan, "r1", { ports }));
  await fleet.drained();
  assert.equal(await fleet.during(isDrained(plan, ports)), true);
});
