// Six weeks of a real chain's tills in a run's own tables while live traffic flows, the run killed with SIGKILL at each
// recorded step and in the middle: `verify` says equal. With another rule it names exactly the keys that differ.
// `npm run test:long`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { test, type TestContext } from "node:test";
import { appCommand, appOf, applyApp, type App } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../support/fresh-database.ts";
import { reprocess, ReprocessRun } from "../support/reprocess-run.ts";
import { realOrGenerated } from "../support/retail-figures.ts";
import { SlowSteps } from "../support/slow-steps.ts";
import { privateStack } from "../support/stack.ts";
import { bin, WorkerProcess } from "../support/worker-process.ts";

const app: App = appOf("retail-few");
const PIECES = 10;
const few: App = appOf("retail-few", { TEST_FEW: String(PIECES) });
const PER_SECOND = 500;

interface Scene {
  readonly database: FreshDatabase;
  readonly env: Record<string, string>;
  readonly rows: number;
  readonly isReal: boolean;
}

/** A live worker that is through with the file. */
async function liveBehindTheFile(t: TestContext): Promise<Scene> {
  const stack = await privateStack();
  const database = await freshDatabase(stack.postgres.url);
  t.after(() => database.drop());
  const env = { ...stack.env, DATABASE_URL: database.url } as Record<string, string>;
  await applyApp(app, env);
  const { origin, rows, isReal } = realOrGenerated();
  const produced = await appCommand(app, ["produce", "retail.transactions", ...origin], env);
  assert.equal(produced.code, 0, produced.out);
  await WorkerProcess.start(t, { args: ["retail"], env, app });
  const count = "SELECT count(*)::int AS n FROM retail_lines";
  await eventually(
    "live is through",
    async () => ((await database.query<{ n: number }>(count))[0]?.n === rows ? true : null),
    300_000,
  );
  return { database, env, rows, isReal };
}

/** More lines, until the test is over. */
function feed(t: TestContext, { env }: Scene): void {
  const traffic = ["--generate", "retail", "--seed", "9", "--count", "1000000"];
  const child = execFile(
    process.execPath,
    [bin, "produce", "retail.transactions", ...traffic, "--rate", String(PER_SECOND)],
    { cwd: tmpdir(), env: { ...process.env, ...env } },
  );
  t.after(() => void child.kill("SIGKILL"));
}

/** Begun with `--resume` from the second time on, and killed each time but the last. */
async function runThroughKills(t: TestContext, scene: Scene, rule: App): Promise<void> {
  const { env } = scene;
  const slow = await SlowSteps.in(scene.database);
  const isDone = async (argv: readonly string[]): Promise<true | null> => {
    const { code, out } = await reprocess(rule, env, "run", "retail", ...argv);
    if (/MILL_RUN_ACTIVE/.test(out) && !/--resume/.test(out)) return null;
    assert.equal(code, 0, out);
    return true;
  };
  const begin = (...argv: string[]) =>
    new ReprocessRun(t, { app: rule, env, argv: ["retail", ...argv] });
  await slow.killAt("topics", () => begin());
  feed(t, scene);
  for (const step of ["tables", "staged", "starts", "range"])
    await slow.killAt(step, () => begin("--resume"));
  const reading = begin("--resume", "--rate", "20000");
  const { done, total } = await reading.until("it reads", (report) => report.done > 20_000);
  assert.ok(done < total, "the kill came too late");
  reading.kill("SIGKILL");
  await reading.exit;
  await eventually("the run is done", () => isDone(["--resume", "--rate", "1000000"]), 300_000);
}

test("the file in a run's tables is what live has made of it", async (t) => {
  const scene = await liveBehindTheFile(t);
  await runThroughKills(t, scene, app);
  const { code, out } = await reprocess(app, scene.env, "verify", "retail", "--json");
  t.diagnostic(out.trim());
  assert.equal(code, 0, out);
  const [found] = await scene.database.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM retail_lines_r1",
  );
  assert.equal(found?.n, scene.rows);
});

test("with another rule exactly the keys are named that differ", async (t) => {
  const scene = await liveBehindTheFile(t);
  const { database, env } = scene;
  const text = `SELECT basket_id::text AS basket, product_id::text AS product
    FROM retail_lines WHERE quantity >= ${String(PIECES)}`;
  const keys = (await database.query<{ basket: string; product: string }>(text))
    .map(({ basket, product }) => `${basket}/${product}`)
    .sort();
  assert.ok(keys.length > 100);
  await runThroughKills(t, scene, few);
  const { code, out } = await reprocess(few, env, "verify", "retail", "--keys", "--json");
  assert.equal(code, 1, out.slice(-2_000));
  const lines = out.split("\n").filter((line) => line.startsWith("{"));
  const named = lines
    .map((line) => (JSON.parse(line) as { readonly key?: readonly string[] }).key?.join("/"))
    .filter((key) => key !== undefined)
    .sort();
  assert.deepEqual(named, keys);
  t.diagnostic(`${String(keys.length)} keys`);
});
