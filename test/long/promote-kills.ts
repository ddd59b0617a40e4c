// A promotion and its undo on real servers, killed with SIGKILL at each recorded step, with live traffic at 2,000 records a
// second and a reader in a loop. `npm run test:long`.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test, type TestContext } from "node:test";
import { AppFigures } from "../support/app-figures.ts";
import { appOf, applyApp, type App } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../support/fresh-database.ts";
import { reprocess, ReprocessRun } from "../support/reprocess-run.ts";
import { Sales } from "../support/sales.ts";
import { sharedStack } from "../support/stack.ts";
import { WorkerProcess } from "../support/worker-process.ts";

const prefix = `kills-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales: salesTopic, summing } = await import("../support/apps/totals.ts");
const app: App = appOf("totals", { TEST_TOPICS: prefix });
const PER_SECOND = 2_000;

/** Recording this step takes a while, so that it can be hit: what it is recorded for has not begun yet. */
const SLOW = `
CREATE TABLE slow_step (step text);
CREATE FUNCTION slowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.step IS DISTINCT FROM OLD.step AND EXISTS (SELECT FROM public.slow_step s WHERE s.step = NEW.step) THEN
    PERFORM pg_sleep(1.5);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER slowed BEFORE UPDATE ON millrace.runs FOR EACH ROW EXECUTE FUNCTION slowed();`;

describe("a promotion that is killed", { concurrency: false }, () => {
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
    await database.query(SLOW);
    await sales.send(5_000);
  });
  after(async () => {
    await figures.close();
    await database.drop();
  });

  const rows = (): Promise<object[]> =>
    database.query("SELECT shop, total FROM totals ORDER BY shop");

  const recording = async (): Promise<boolean> => {
    const found = await database.query(
      "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
    );
    return found.length > 0;
  };

  /** Kills the command while it records the step, or while it does what it has recorded before. */
  async function killedAt(t: TestContext, step: string, verb: string): Promise<void> {
    await database.query("INSERT INTO slow_step VALUES ($1)", [step]);
    const command = new ReprocessRun(t, { app, env, verb, argv: [prefix, "--yes"] });
    await eventually(`it records ${step}: ${command.lines.join("; ")}`, async () => {
      return (await recording()) ? true : null;
    });
    command.kill("SIGKILL");
    await command.exit;
    await database.query("DELETE FROM slow_step");
    // The server does not notice: what it was told to record it records.
    await eventually("nothing is on its way", async () => ((await recording()) ? null : true));
  }

  async function goOn(verb: string): Promise<void> {
    await eventually(`${verb} goes on`, async () => {
      const { code, out } = await reprocess(app, env, verb, prefix, "--yes");
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
    ["stopping", "undo-opening"],
    ["swapping", "undone"],
    ["swapped", "undo-swapped"],
    ["opening", "undo-opening"],
    ["promoted", "undo-draining"],
  ] as const;
  for (const [step, undoStep] of cases)
    test(`at "${step}", and its undo at "${undoStep}": nothing is lost or counted twice`, async (t) => {
      const worker = await WorkerProcess.start(t, { args: [prefix, "--workers", "2"], env, app });
      const flow = sales.flow(PER_SECOND);
      t.after(() => flow.stop());
      const run = new ReprocessRun(t, { app, env, argv: [prefix, "--follow"] });
      await run.until("it follows", ({ step: now }) => now === "following");
      await eventually("live has begun", async () => ((await rows()).length === 7 ? true : null));
      const looks: number[] = [];
      let isOver = false;
      const reading = (async () => {
        const client = await database.connect();
        while (!isOver) {
          const { rows: found } = await client.query<{ n: number }>(
            "SELECT count(*)::int AS n FROM totals",
          );
          looks.push(found[0]?.n ?? 0);
        }
        await client.end();
      })();
      await killedAt(t, step, "promote");
      if ((await stateOf()) !== "promoted") await goOn("promote");
      await killedAt(t, undoStep, "undo");
      if ((await stateOf()) !== "undone") await goOn("undo");
      await flow.stop();
      await eventually(
        "everything is counted once",
        async () => JSON.stringify(await rows()) === JSON.stringify(sales.totals()) || null,
      );
      isOver = true;
      await reading;
      assert.deepEqual([...new Set(looks)], [7]);
      await run.exit;
      await worker.drain();
    });

  const stateOf = async (): Promise<string | undefined> =>
    (
      await database.query<{ state: string }>(
        "SELECT state FROM millrace.runs ORDER BY run DESC LIMIT 1",
      )
    )[0]?.state;
});
