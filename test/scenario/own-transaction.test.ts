// A worker whose commit got no answer may have a transaction open still, with its own progress in it. It ends that one
// itself: waiting for stable progress until the broker gives the transaction up would be a standstill.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import { defaultLimits } from "../../src/engine/runtime/context.ts";
import { Fleet } from "../support/fleet.ts";
import { things } from "../support/plans.ts";

const input = things("in", 1);
const output = things("out", 1);
const flow = pipeline("flow", ({ from }) => {
  from(input).to(output);
});

for (const request of ["commit", "sendOffsets"] as const)
  test(`after a lost ${request} the worker goes on long before its transaction times out`, async () => {
    const fleet = new Fleet([flow]);
    await fleet.join();
    await fleet.drained();
    // The group's coordinator has the progress, the transaction is open.
    fleet.kafka.failNext(request, { after: request === "sendOffsets" });
    await fleet.send(input.name, [{ id: "k", n: 1 }]);
    const isThere = (): boolean => fleet.values(output).length === 1;
    await fleet.until("it goes on", isThere, defaultLimits.transactionTimeoutMs / 4);
    assert.equal(fleet.meter.counter("millrace_rewinds_total", { pipeline: "flow" }), 1);
  });

test("a worker that leaves after a failed commit holds up nobody who reads what it wrote", async () => {
  const fleet = new Fleet([flow], { checkpointIntervalMs: 60_000 });
  const { worker } = await fleet.join();
  await fleet.send(input.name, [{ id: "k", n: 1 }]);
  await fleet.clock.advance(1_000);
  // The outputs are in their topic, and the last commit of the drain fails.
  fleet.kafka.failNext("sendOffsets", { after: false });
  await fleet.during(worker.stop());
  assert.equal(fleet.meter.counter("millrace_rewinds_total", { pipeline: "flow" }), 1);
  await fleet.send(output.name, [{ id: "k", n: 2 }]);
  const isRead = (): boolean => fleet.values(output).some(({ n }) => n === 2);
  await fleet.until("it is read", isRead, defaultLimits.transactionTimeoutMs / 4);
  assert.deepEqual(fleet.values(output), [{ id: "k", n: 2 }]);
});
