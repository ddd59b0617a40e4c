// Ten thousand orders of which a wrong rule refuses five hundred, on real servers. The rule is mended and they are
// redriven while workers and the command are killed; then the tables are those of a run that had the right rule.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { after, before, test, type TestContext } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { partitionOf } from "../../../src/engine/core/record.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type App } from "../../support/app.ts";
import type { Order } from "../../support/apps/refusing.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { bin, WorkerProcess } from "../../support/worker-process.ts";

const ORDERS = 10_000;
const REFUSED = 500;
const CUSTOMERS = 97;
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

const prefix = `redrive-t${randomBytes(4).toString("hex")}`;
const appWith = (rule: "wrong" | "right"): App =>
  appOf("refusing", { TEST_TOPICS: prefix, TEST_RULE: rule });
process.env["TEST_TOPICS"] = prefix;
const { clean, orders, refusing } = await import("../../support/apps/refusing.ts");

/** Every twentieth is large; an order comes in two versions. */
const order = (n: number): Order => ({
  id: `o-${String(Math.floor(n / 2))}`,
  customer: `c-${String(Math.floor(n / 2) % CUSTOMERS)}`,
  amount: n % 20 === 7 ? 1_000 + n : n % 900,
  version: n % 2,
});

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(refusing.plan(), env);
  await applyApp(appWith("right"), env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

async function send(): Promise<void> {
  const records = Array.from({ length: ORDERS }, (_, n) => {
    const key = Buffer.from(order(n).customer);
    const value = Buffer.from(JSON.stringify(order(n)));
    const partition = partitionOf(key, 4, 0);
    return {
      topic: orders.name,
      partition,
      key,
      value,
      headers: [],
      timestamp: 1_700_000_000_000 + n,
    };
  });
  const producer = figures.clients.kafka.producer();
  await producer.send(records);
  await producer.close();
}

/** By a second, naive program with the right rule. */
function expected() {
  const rows = new Map<string, Order>();
  const totals = new Map<string, number>();
  for (let n = 0; n < ORDERS; n++) {
    const one = order(n);
    rows.set(one.id, one);
    totals.set(one.customer, (totals.get(one.customer) ?? 0) + one.amount);
  }
  return { rows, totals };
}

async function assertTables(): Promise<void> {
  const { rows, totals } = expected();
  const stored = await database.query<Order>("SELECT id, customer, amount, version FROM orders");
  assert.equal(stored.length, rows.size);
  for (const row of stored) assert.deepEqual({ ...row }, rows.get(row.id));
  const sums = await database.query<{ customer: string; total: number }>(
    "SELECT customer, total FROM totals",
  );
  assert.deepEqual(new Map(sums.map(({ customer, total }) => [customer, total])), totals);
  const taken = await figures.values<Order>(clean.name);
  assert.equal(taken.length, ORDERS);
  assert.equal(new Set(taken.map(({ id, version }) => `${id}/${String(version)}`)).size, ORDERS);
}

const workers: WorkerProcess[] = [];
const kills: string[] = [];

/** A redrive as a process of its own. */
function driver(t: TestContext, ...argv: readonly string[]): ChildProcess {
  const app = appWith("right");
  const args = [...app.execArgv, bin, "dlq", "redrive", prefix, ...argv];
  const settings = { ...process.env, ...env, ...app.env };
  const child = spawn(process.execPath, args, { cwd: tmpdir(), env: settings, stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

/** The command makes the topic when it has something to send. */
const sentBack = (): Promise<number> =>
  figures.raw(refusing.plan().redrive).then(
    (records) => records.length,
    (error: unknown) => {
      if (error instanceof MillraceError && error.code === "MILL_TOPIC_MISSING") return 0;
      throw error;
    },
  );

const letterStates = async (): Promise<Record<string, number>> => {
  const { code, out } = await appCommand(appWith("right"), ["dlq", "stats", prefix, "--json"], env);
  assert.equal(code, 0, out);
  return (JSON.parse(out) as { states: Record<string, number> }).states;
};

test("five hundred letters of a wrong rule are redriven through five kills, and all is as if it had been right", async (t) => {
  t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
  const random = seededRandom(seed);
  const wrong = await WorkerProcess.start(t, { args: [], env, app: appWith("wrong") });
  await wrong.ready();
  await send();
  await figures.drained();
  assert.deepEqual(await wrong.drain(), { code: 0, signal: null });
  assert.deepEqual(await letterStates(), { open: REFUSED });

  const start = async (): Promise<void> =>
    void workers.push(await WorkerProcess.start(t, { args: [], env, app: appWith("right") }));
  await start();
  await start();
  const killWorker = async (): Promise<void> => {
    const [victim] = workers.splice(Math.floor(random.next() * workers.length), 1);
    victim?.kill("SIGKILL");
    await victim?.exit;
    kills.push("worker");
    await start();
  };
  let running = driver(t, "--rate", "120");
  const killDriver = async (): Promise<void> => {
    assert.equal(running.exitCode, null, "the command has ended before it was killed");
    running.kill("SIGKILL");
    await once(running, "exit");
    kills.push("command");
    running = driver(t, "--rate", "120");
  };
  const points = [40, 110, 190, 270, 350];
  const steps = [killWorker, killDriver, killWorker, killDriver, killWorker];
  for (const [i, step] of steps.entries()) {
    const point = (points[i] ?? 0) + Math.floor(random.next() * 30);
    await eventually(
      `${String(point)} were sent back`,
      async () => (await sentBack()) >= point || null,
    );
    await step();
  }
  assert.deepEqual(kills, ["worker", "command", "worker", "command", "worker"]);
  if (running.exitCode === null) await once(running, "exit");
  assert.equal(running.exitCode, 0);

  const { code, out } = await appCommand(
    appWith("right"),
    ["dlq", "redrive", prefix, "--wait"],
    env,
  );
  assert.equal(code, 0, out);
  await eventually("all are resolved", async () => {
    const states = await letterStates();
    return states["resolved"] === REFUSED || null;
  });
  assert.equal(await sentBack(), REFUSED);
  await figures.drained();
  await assertTables();
  const ledgers = await appCommand(appWith("right"), ["ledger", "check", prefix], env);
  assert.equal(ledgers.code, 0, ledgers.out);
  assert.match(ledgers.out, /main .* 10,500 .*balanced/);
  for (const worker of workers) await worker.ready();
  for (const worker of workers) assert.deepEqual(await worker.drain(), { code: 0, signal: null });
});
