// A run takes the place of the live pipeline on real servers, with live traffic at 2,000 records a second and a reader in a
// loop: nothing is lost or counted twice, nobody sees an empty or half table, and an undo gives everything back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { app, PER_SECOND, prefix, PromotionServers } from "../../support/promotion-servers.ts";
import { reprocess, ReprocessRun } from "../../support/reprocess-run.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

let live: PromotionServers;
let env: Record<string, string>;
let sales: PromotionServers["sales"];
let figures: PromotionServers["figures"];

before(async () => {
  live = await PromotionServers.open();
  ({ env, sales, figures } = live);
});
after(() => live.close());

test("verified equal, promoted and undone, all of it under traffic", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [prefix, "--workers", "2"], env, app });
  await sales.spoil(4);
  await live.reaches(() => sales.totals());
  const flow = sales.flow(PER_SECOND);
  t.after(() => flow.stop());
  const run = new ReprocessRun(t, { app, env, argv: [prefix, "--follow", "--workers", "2"] });
  await run.until("it follows", ({ step }) => step === "following");
  const verified = await reprocess(app, env, "verify", prefix, "--barrier");
  assert.equal(verified.code, 0, verified.out);
  assert.match(verified.out, /public\.totals +7 +[0-9a-f]{16} +0 +0 +0 +0 +equal/);
  const running = await reprocess(app, env, "verify", prefix);
  assert.equal(running.code, 0, running.out);
  assert.match(running.out, /rows have changed in live since/);
  assert.equal(await live.openLetters(), 4);
  const stop = live.reading();
  const promoted = await reprocess(app, env, "promote", prefix, "--yes");
  assert.equal(promoted.code, 0, promoted.out);
  assert.match(promoted.out, /run 1 of \S+ is promoted/);
  assert.match(promoted.out, /letters: 0 over, 4 that the run refused/);
  assert.equal(await live.openLetters(), 4);
  await run.exit;
  await eventually("live goes on", async () => (await worker.health())?.ok === true || null);
  await flow.stop();
  await live.reaches(() => sales.totals());
  await stop();
  assert.equal((await live.rows("totals_old_1")).length, 7);
  await figures.drained();
  t.diagnostic(`${String(sales.sent)} sales`);

  const again = sales.flow(PER_SECOND);
  const undone = await reprocess(app, env, "undo", prefix, "--yes");
  assert.equal(undone.code, 0, undone.out);
  assert.equal(await live.openLetters(), 4);
  await again.stop();
  await live.reaches(() => sales.totals());
  await worker.drain();
});
