// A promotion and its undo on real servers, killed with SIGKILL at each recorded step, with live traffic at 2,000 records a
// second and a reader in a loop. `npm run test:long`.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { app, PER_SECOND, prefix, PromotionServers } from "../support/promotion-servers.ts";
import { reprocess, ReprocessRun } from "../support/reprocess-run.ts";
import { SlowSteps } from "../support/slow-steps.ts";
import { WorkerProcess } from "../support/worker-process.ts";

describe("a promotion that is killed", { concurrency: false }, () => {
  let live: PromotionServers;
  let slow: SlowSteps;
  const argv = { promote: [prefix, "--emit-corrections", "--yes"], undo: [prefix, "--yes"] };

  before(async () => {
    live = await PromotionServers.open();
    slow = await SlowSteps.in(live.database);
    await live.sales.spoil(4);
  });
  after(() => live.close());

  const stateOf = async (): Promise<string | undefined> => {
    const text = "SELECT state FROM millrace.runs ORDER BY run DESC LIMIT 1";
    return (await live.database.query<{ state: string }>(text))[0]?.state;
  };

  /** By the next command, once the lock of the one that was killed is gone. */
  async function goOn(verb: "promote" | "undo"): Promise<void> {
    await eventually(`${verb} goes on`, async () => {
      const { code, out } = await reprocess(app, live.env, verb, ...argv[verb]);
      if (/MILL_RUN_ACTIVE/.test(out)) return null;
      assert.equal(code, 0, out);
      return true;
    });
  }

  const cases = [
    ["freezing", "undo-draining"],
    ["draining", "undo-closing"],
    ["closing", "undo-swapping"],
    ["catching-up", "undo-swapped"],
    ["correcting", "undo-swapping"],
    ["stopping", "undo-opening"],
    ["swapping", "undone"],
    ["swapped", "undo-swapped"],
    ["opening", "undo-opening"],
    ["promoted", "undo-draining"],
  ] as const;
  for (const [step, undoStep] of cases)
    test(`at "${step}", and its undo at "${undoStep}": nothing is lost or counted twice`, async (t) => {
      const { env, sales } = live;
      const worker = await WorkerProcess.start(t, { args: [prefix, "--workers", "2"], env, app });
      const flow = sales.flow(PER_SECOND);
      t.after(() => flow.stop());
      const run = new ReprocessRun(t, { app, env, argv: [prefix, "--follow"] });
      await run.until("it follows", ({ step: now }) => now === "following");
      await eventually("live has begun", async () =>
        (await live.rows()).length === 7 ? true : null,
      );
      const stop = live.reading({ isUndone: true });
      const begin = (verb: "promote" | "undo"): ReprocessRun =>
        new ReprocessRun(t, { app, env, verb, argv: argv[verb] });
      await slow.killAt(step, () => begin("promote"));
      if ((await stateOf()) !== "promoted") await goOn("promote");
      assert.equal(await live.openLetters(), 4);
      await slow.killAt(undoStep, () => begin("undo"));
      if ((await stateOf()) !== "undone") await goOn("undo");
      await flow.stop();
      await live.reaches(() => sales.totals());
      await stop();
      assert.equal(await live.openLetters(), 4);
      await run.exit;
      await worker.drain();
    });
});
