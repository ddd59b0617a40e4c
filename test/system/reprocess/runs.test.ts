// Runs of the reprocessor on real servers, beside a live worker: what they make equals what live made, whatever befalls
// their controller; one at a time; each command says by its exit code how it went.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appOf, applyApp, type App } from "../../support/app.ts";
import type { Sale } from "../../support/apps/totals.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { reprocess, ReprocessRun } from "../../support/reprocess-run.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `rerun-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing, totals } = await import("../../support/apps/totals.ts");
const app: App = appOf("totals", { TEST_TOPICS: prefix });

const SHOPS = 7;
const RECORDS = 20_000;

describe("a run beside the live pipeline", { concurrency: false }, () => {
  let database: FreshDatabase;
  let env: Record<string, string>;
  let figures: AppFigures;
  let sent = 0;

  before(async () => {
    database = await freshDatabase();
    env = { ...(await sharedStack()), DATABASE_URL: database.url };
    figures = new AppFigures(summing.plan(), env);
    await applyApp(app, env);
    await send(RECORDS);
  });
  after(async () => {
    await figures.close();
    await database.drop();
  });

  async function send(count: number): Promise<void> {
    const records = Array.from({ length: count }, (_, i) => {
      const n = sent + i;
      const sale: Sale = { shop: `shop-${String(n % SHOPS)}`, amount: 1 + (n % 13) };
      return {
        topic: sales.name,
        partition: n % 2,
        key: Buffer.from(`till-${String(n % 5)}`),
        value: Buffer.from(JSON.stringify(sale)),
        headers: [],
        timestamp: Date.now(),
      };
    });
    sent += count;
    const producer = figures.clients.kafka.producer();
    await producer.send(records);
    await producer.close();
  }

  const rows = (table: string): Promise<{ shop: string; total: number }[]> =>
    database.query(`SELECT shop, total FROM ${table} ORDER BY shop`);
  const expected = (): { shop: string; total: number }[] => {
    const sums = new Map<string, number>();
    for (let n = 0; n < sent; n++) {
      const shop = `shop-${String(n % SHOPS)}`;
      sums.set(shop, (sums.get(shop) ?? 0) + 1 + (n % 13));
    }
    return [...sums]
      .map(([shop, total]) => ({ shop, total }))
      .sort((a, b) => (a.shop < b.shop ? -1 : 1));
  };
  const runOf = async (n: number) => {
    const { out } = await reprocess(app, env, "status", prefix, "--run", String(n), "--json");
    return JSON.parse(out) as { state: string; counts: { done: number; total: number } };
  };

  test("makes the same table and the same topic as live has made", async (t) => {
    const worker = await WorkerProcess.start(t, { args: [prefix], env, app });
    const { code, out } = await reprocess(app, env, "run", prefix);
    assert.equal(code, 0, out);
    assert.match(out, /run 1 of \S+ is done: 20,000 records/);
    await eventually(
      "live is through",
      async () => JSON.stringify(await rows("totals")) === JSON.stringify(expected()) || null,
    );
    assert.deepEqual(await rows("totals_r1"), expected());
    // Every sum once, on the way to the same end.
    const [live, again] = await Promise.all(
      [totals.name, `${totals.name}-r1`].map((topic) => figures.raw(topic)),
    );
    assert.equal(again?.length, live?.length);
    await worker.drain();
  });

  test("is gone on with where its checkpoints are when the controller and its workers were killed", async (t) => {
    const run = new ReprocessRun(t, {
      app,
      env,
      argv: [prefix, "--workers", "2", "--rate", "500"],
    });
    await run.until("a part is decided", ({ done }) => done > 1_000);
    // While it is at work, and after it was killed, nobody else begins.
    const second = await reprocess(app, env, "run", prefix);
    assert.equal(second.code, 5, second.out);
    assert.match(second.out, /MILL_RUN_ACTIVE .*run 2 of \S+ is at work in another process/);
    run.kill("SIGKILL");
    await run.exit;
    const third = await eventually("its lock is free", async () => {
      const tried = await reprocess(app, env, "run", prefix);
      return /is running: go on with --resume/.test(tried.out) ? tried : null;
    });
    assert.equal(third.code, 5, third.out);
    const before = await runOf(2);
    assert.ok(before.counts.done < before.counts.total, "the kill came too late");
    const { code, out } = await reprocess(app, env, "run", prefix, "--resume", "--rate", "1000000");
    assert.equal(code, 0, out);
    assert.deepEqual(await rows("totals_r2"), expected());
  });

  test("is cancelled from another terminal, and told so", async (t) => {
    const run = new ReprocessRun(t, { app, env, argv: [prefix, "--rate", "500"] });
    const { run: number } = await run.until("it reads", ({ done }) => done > 0);
    const dry = await reprocess(app, env, "cancel", prefix, "--dry-run");
    assert.match(dry.out, new RegExp(`run ${String(number)} .* is running and would be cancelled`));
    const { code, out } = await reprocess(app, env, "cancel", prefix);
    assert.equal(code, 0, out);
    assert.deepEqual(await run.exit, { code: 1, signal: null }, run.lines.join("\n"));
    const { state, counts } = await runOf(number);
    assert.equal(state, "cancelled");
    assert.ok(counts.done < counts.total);
    assert.equal((await reprocess(app, env, "cancel", prefix)).code, 3);
    assert.equal((await reprocess(app, env, "run", prefix, "--run", String(number))).code, 5);
  });

  test("follows the live pipeline, never beyond it, until it is interrupted", async (t) => {
    const worker = await WorkerProcess.start(t, { args: [prefix], env, app });
    const run = new ReprocessRun(t, { app, env, argv: [prefix, "--follow"] });
    const { run: number } = await run.until(
      "it follows",
      ({ step, behind }) => step === "following" && behind === 0,
    );
    await send(5_000);
    await run.until("it has followed", ({ done, behind }) => done === sent && behind === 0);
    await worker.drain();
    await send(1_000);
    const seen = run.reports.length;
    await eventually("three more looks", () =>
      Promise.resolve(run.reports.length > seen + 3 || null),
    );
    assert.equal(run.last?.done, sent - 1_000, "it has gone beyond the live pipeline");
    run.kill("SIGTERM");
    assert.deepEqual(await run.exit, { code: 130, signal: null }, run.lines.join("\n"));
    assert.deepEqual(await rows(`totals_r${String(number)}`), await rows("totals"));
    assert.equal((await runOf(number)).state, "running");
    assert.equal((await reprocess(app, env, "cancel", prefix)).code, 0);
  });

  test("bad input is refused in one sentence, with the exit code of usage", async () => {
    const cases: readonly [string[], number, RegExp][] = [
      [["--from", "yesterday"], 2, /--from: expected earliest, a day/],
      [["--to-offset", `${sales.name}-0=99999999`], 2, /MILL_RUN_RANGE .*it has 0 to/],
      [["--file", "x.csv", "--topic", "other"], 3, /does not read other from outside/],
      [["--in-place", "--from-offset", `${sales.name}-0=5`], 2, /would begin from nothing/],
    ];
    for (const [argv, code, text] of cases) {
      const ended = await reprocess(app, env, "plan", prefix, ...argv);
      assert.equal(ended.code, code, ended.out);
      assert.match(ended.out, text);
    }
    assert.equal((await reprocess(app, env, "plan", "nobody")).code, 3);
  });
});
