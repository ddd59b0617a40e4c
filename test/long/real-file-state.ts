// State on six weeks of a real chain's tills: what each household and each department has spent, to the cent, whether or
// not the worker is killed in the middle. Checked against a second, naive program over the same file. `npm run test:long`.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { Stack } from "../../src/stack/stack.ts";
import { eventually } from "../support/eventually.ts";
import { privateStack } from "../support/stack.ts";
import { expected, SpendRun, wanted } from "../system/state/retail-spend-run.ts";

const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

test(
  "the naive program finds the known figures in the real files",
  { skip: !expected.isReal && "the files are not here: generated lines stand in" },
  () => {
    const { products, households, departments } = wanted;
    assert.equal(products, 26_257);
    assert.equal(Object.keys(households).length, 2_035);
    assert.equal(Object.keys(departments).length, 21);
    assert.deepEqual([departments["GROCERY"], departments["FUEL"]], ["234641.34", "27049.34"]);
  },
);

describe("what six weeks of a chain come to", { timeout: 240_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await privateStack();
  });

  test("every household and department is right to the cent when nothing goes wrong", async (t) => {
    const run = await SpendRun.prepare(t, stack, "calm-");
    const [worker] = await Promise.all([
      run.worker(),
      run.lines.produce(expected.origin),
      run.sendProducts(),
    ]);
    await run.check();
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });

  test("and when the worker is killed three times, the products coming in between", async (t) => {
    t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
    const random = seededRandom(seed);
    const run = await SpendRun.prepare(t, stack, "killed-");
    let worker = await run.worker();
    const sent = run.lines.produce(expected.origin);
    for (let kill = 0; kill < 3; kill++) {
      const at = (0.05 + 0.25 * kill + 0.15 * random.next()) * expected.rows;
      await eventually("the sums are where the worker is to be killed", async () => {
        assert.ok(!worker.hasEnded, worker.story());
        return (await run.summed()) >= at || null;
      });
      // The look comes right behind a commit; the kill need not.
      await delay(random.next() * 100);
      worker.kill("SIGKILL");
      assert.deepEqual(await worker.exit, { code: null, signal: "SIGKILL" });
      const summed = await run.summed();
      t.diagnostic(`killed at ${String(summed)} of ${String(expected.rows)} sums`);
      assert.ok(summed < expected.rows, "the kill came too late: everything was summed up");
      worker = await run.worker();
      if (kill === 1) await run.sendProducts();
    }
    await sent;
    await run.check();
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });
});
