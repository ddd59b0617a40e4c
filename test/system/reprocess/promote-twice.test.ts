// A promotion on top of another, on real servers: each undone in turn, what they left dropped, and nothing that somebody
// still stands on or may go back to.
import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import { app, PER_SECOND, prefix, PromotionServers } from "../../support/promotion-servers.ts";
import { reprocess, ReprocessRun } from "../../support/reprocess-run.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

let live: PromotionServers;
before(async () => (live = await PromotionServers.open()));
after(() => live.close());

async function verb(...argv: string[]): Promise<string> {
  const { code, out } = await reprocess(app, live.env, ...argv);
  assert.equal(code, 0, `${argv.join(" ")}: ${out}`);
  return out;
}

async function promoted(t: TestContext, n: number): Promise<void> {
  const run = new ReprocessRun(t, { app, env: live.env, argv: [prefix, "--follow"] });
  await run.until(`run ${String(n)} follows`, ({ step }) => step === "following");
  await verb("promote", prefix, "--run", String(n), "--yes");
  await run.exit;
}

/** Whether everything that was sent is counted once, with live traffic for a while. */
async function isExact(t: TestContext): Promise<void> {
  const flow = live.sales.flow(PER_SECOND);
  t.after(() => flow.stop());
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await flow.stop();
  await live.reaches(() => live.sales.totals());
}

test("two promotions, undone in turn; what is dropped is what nobody needs", async (t) => {
  const { env } = live;
  const worker = await WorkerProcess.start(t, { args: [prefix], env, app });
  await promoted(t, 1);
  await isExact(t);
  await promoted(t, 2);
  await isExact(t);

  const first = await reprocess(app, env, "undo", prefix, "--run", "1", "--yes");
  assert.equal(first.code, 5, first.out);
  assert.match(first.out, /run 2 was promoted after run 1: undo that one first/);
  // Run 2 can be undone as long as run 1's stores are there.
  const drop = await verb("drop", prefix, "--run", "1", "--dry-run");
  assert.doesNotMatch(drop, new RegExp(`${prefix}-r1-.*changelog`));
  assert.match(drop, /totals_old_1/);

  await verb("undo", prefix, "--run", "2", "--yes");
  await isExact(t);
  await verb("drop", prefix, "--run", "2", "--yes");
  await isExact(t);
  await verb("undo", prefix, "--run", "1", "--yes");
  await isExact(t);
  await verb("drop", prefix, "--run", "1", "--yes");
  await isExact(t);

  const admin = live.figures.clients.kafka.admin();
  const left = (await admin.listTopics()).filter((name) => name.startsWith(`${prefix}-r`));
  assert.deepEqual(
    left.filter((name) => /-r[12]\b/.test(name)),
    [],
  );
  const tables = await live.database.query(
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^totals_'",
  );
  assert.deepEqual(tables, []);
  await worker.drain();
});
