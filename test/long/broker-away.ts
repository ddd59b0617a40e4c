// A broker that is away for longer than idleAfter: producers keep their records meanwhile, and what comes when it is back is
// no later for windows than if there had been no outage.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";

process.env["TEST_TOPICS"] = `t${randomBytes(4).toString("hex")}`;
const { startService, stopService, stopStack } = await import("../../src/stack/stack.ts");
const { QuietScene } = await import("../support/quiet-scene.ts");
const { privateStack, sharedStack } = await import("../support/stack.ts");
const { eventually } = await import("../support/eventually.ts");
const { IDLE_AFTER_MS, manyViews, manyRows, pipelineNames } =
  await import("../support/apps/quiet.ts");

test(
  "an outage of the broker for twice idleAfter is no quietness",
  { timeout: 600_000 },
  async (t) => {
    const stack = await privateStack(["kafka"]);
    t.after(() => stopStack(stack.dir, () => undefined, { purge: true }));
    const scene = await QuietScene.open(t, { ...(await sharedStack()), ...stack.env });
    const worker = await scene.worker([pipelineNames.rekeyed]);
    const rows = scene.rows(manyRows);
    const beforeMs = Date.now();
    await scene.send(scene.view(manyViews, beforeMs));
    assert.equal((await scene.row(rows, beforeMs)).count, 1);
    await stopService(stack.dir, "kafka");
    const awayMs = Date.now();
    await eventually("it is away for twice idleAfter", () =>
      Date.now() - awayMs >= 2 * IDLE_AFTER_MS ? true : null,
    );
    await startService(stack.dir, "kafka");
    // A producer sends what it has kept as soon as it can, the worker finds the broker when it can.
    await scene.send(scene.view(manyViews, awayMs), scene.view(manyViews, awayMs, 1));
    const backMs = Date.now();
    const counted = [await scene.row(rows, awayMs), await scene.row(rows, awayMs, "p1")];
    assert.deepEqual(
      counted.map(({ count }) => count),
      [1, 1],
      worker.story(),
    );
    t.diagnostic(
      `closed ${String(Math.max(...counted.map(({ seenMs }) => seenMs)) - backMs)} ms after it was back`,
    );
    assert.equal(await scene.late(pipelineNames.rekeyed, "by-shop"), 0);
  },
);
