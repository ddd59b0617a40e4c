// A run takes the place of the live pipeline on real servers, with live traffic at 2,000 records a second and a reader in a
// loop: nothing is lost or counted twice, nobody sees an empty or half table, and an undo gives everything back.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type App } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { reprocess, ReprocessRun } from "../../support/reprocess-run.ts";
import { Sales } from "../../support/sales.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `promote-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales: salesTopic, summing } = await import("../../support/apps/totals.ts");
const app: App = appOf("totals", { TEST_TOPICS: prefix });
const BONUS = "shop-3";
const other: App = appOf("totals", { TEST_TOPICS: prefix, TEST_BONUS: BONUS });
const PER_SECOND = 2_000;

describe("a run in the place of live", { concurrency: false }, () => {
  let database: FreshDatabase;
  let env: Record<string, string>;
  let figures: AppFigures;
  let sales: Sales;

  before(async () => {
    database = await freshDatabase();
    env = { ...(await sharedStack()), DATABASE_URL: database.url };
    figures = new AppFigures(summing.plan(), env);
    sales = new Sales(figures, salesTopic.name);
    await applyApp(app, env);
    await sales.send(20_000);
  });
  after(async () => {
    await figures.close();
    await database.drop();
  });

  const rows = (table = "totals"): Promise<{ shop: string; total: number }[]> =>
    database.query(`SELECT shop, total FROM ${table} ORDER BY shop`);
  const reaches = (wanted: () => unknown) =>
    eventually("live has counted everything", async () =>
      JSON.stringify(await rows()) === JSON.stringify(wanted()) ? true : null,
    );

  /** Reads until it is stopped; every look must see whole tables. */
  function reading() {
    let isOver = false;
    const looks: { n: number; sum: number }[] = [];
    const loop = (async () => {
      const client = await database.connect();
      while (!isOver) {
        const text = "SELECT count(*)::int AS n, coalesce(sum(total), 0)::int AS sum FROM totals";
        looks.push(...(await client.query<{ n: number; sum: number }>(text)).rows);
      }
      await client.end();
    })();
    return async (): Promise<void> => {
      isOver = true;
      await loop;
      assert.deepEqual([...new Set(looks.map(({ n }) => n))], [7], "an empty or half table");
      const back = looks.findIndex(({ sum }, i) => i > 0 && sum < (looks[i - 1]?.sum ?? 0));
      assert.equal(back, -1, "a reader went back in time");
      assert.ok(looks.length > 100);
    };
  }

  test("verified equal, promoted and undone, all of it under traffic", async (t) => {
    const worker = await WorkerProcess.start(t, { args: [prefix, "--workers", "2"], env, app });
    await reaches(() => sales.totals());
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
    const stop = reading();
    const promoted = await reprocess(app, env, "promote", prefix, "--yes");
    assert.equal(promoted.code, 0, promoted.out);
    assert.match(promoted.out, /run 1 of \S+ is promoted/);
    await run.exit;
    await eventually("live goes on", async () => (await worker.health())?.ok === true || null);
    await flow.stop();
    await reaches(() => sales.totals());
    await stop();
    assert.equal((await rows("totals_old_1")).length, 7);
    await figures.drained();
    t.diagnostic(`${String(sales.sent)} sales`);

    const again = sales.flow(PER_SECOND);
    const undone = await reprocess(app, env, "undo", prefix, "--yes");
    assert.equal(undone.code, 0, undone.out);
    await again.stop();
    await reaches(() => sales.totals());
    await worker.drain();
  });

  test("another rule: verify names exactly the keys that differ; held, deployed, resumed, it holds for all records", async (t) => {
    const old = await WorkerProcess.start(t, { args: [prefix], env, app });
    const flow = sales.flow(PER_SECOND);
    t.after(() => flow.stop());
    const run = new ReprocessRun(t, { app: other, env, argv: [prefix, "--follow"] });
    await run.until("it follows", ({ step }) => step === "following");
    const verified = await reprocess(other, env, "verify", prefix, "--barrier", "--keys");
    assert.equal(verified.code, 1, verified.out);
    const keys = verified.out
      .split("\n")
      .flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as object] : []));
    const key = { table: "public.totals", kind: "different", key: [BONUS], columns: ["total"] };
    assert.deepEqual(keys, [key], verified.out);
    const held = await reprocess(
      other,
      env,
      "promote",
      prefix,
      "--hold",
      "--emit-corrections",
      "--yes",
    );
    assert.equal(held.code, 0, held.out);
    assert.match(held.out, /corrections in output topics: 1/);
    await run.exit;
    await old.drain();
    const worker = await WorkerProcess.start(t, { args: [prefix], env, app: other });
    const resumed = await appCommand(other, ["resume", prefix], env);
    assert.equal(resumed.code, 0, resumed.out);
    await flow.stop();
    await reaches(() => sales.totals(BONUS));
    await worker.drain();
    const { totals } = await import("../../support/apps/totals.ts");
    const values = await figures.values<{ shop: string; total: number }>(totals.name);
    const last = Object.fromEntries(values.map(({ shop, total }) => [shop, total]));
    assert.deepEqual(
      last,
      Object.fromEntries(sales.totals(BONUS).map(({ shop, total }) => [shop, total])),
    );
  });

  test("a live worker that is stopped through all of it commits nothing when it wakes, and goes on in the new place", async (t) => {
    const short = { ...env, MILLRACE_SESSION_TIMEOUT_MS: "6000" };
    const start = () => WorkerProcess.start(t, { args: [prefix], env: short, app: other });
    const [zombie, worker] = [await start(), await start()];
    const flow = sales.flow(PER_SECOND);
    t.after(() => flow.stop());
    await reprocess(other, env, "status", prefix);
    await Promise.all([zombie.ready(), worker.ready()]);
    const run = new ReprocessRun(t, { app: other, env, argv: [prefix, "--follow"] });
    await run.until("it follows", ({ step }) => step === "following");
    zombie.kill("SIGSTOP");
    const promoted = await reprocess(other, env, "promote", prefix, "--yes");
    assert.equal(promoted.code, 0, promoted.out);
    zombie.kill("SIGCONT");
    await flow.stop();
    await reaches(() => sales.totals(BONUS));
    await worker.drain();
    await sales.send(1_000);
    await reaches(() => sales.totals(BONUS));
    await zombie.drain();
  });
});
