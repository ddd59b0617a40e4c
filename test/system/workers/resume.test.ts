// Tasks of a real worker that stop since a table or a copy of state was spoiled, and go on when that is mended and the
// command says so: the same process, and every record once.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { Redis } from "ioredis";
import type { TaskHealth } from "../../../src/engine/observe/health.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type Ended } from "../../support/app.ts";
import type { Sale } from "../../support/apps/totals.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { commandsIn } from "../../support/named-command.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `resume-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing } = await import("../../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });

const SHOPS = 7;
let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;
let redis: Redis;
const expected = new Map<string, number>();

before(async () => {
  database = await freshDatabase();
  const stack = await sharedStack();
  env = { ...stack, DATABASE_URL: database.url };
  figures = new AppFigures(summing.plan(), env);
  redis = new Redis(stack.REDIS_URL);
  await applyApp(app, env);
});
after(async () => {
  redis.disconnect();
  await figures.close();
  await database.drop();
});

const resume = (...argv: string[]): Promise<Ended> =>
  appCommand(app, ["resume", prefix, ...argv], env);

async function send(count: number): Promise<void> {
  const records = Array.from({ length: count }, (_, n) => {
    const sale: Sale = { shop: `shop-${String(n % SHOPS)}`, amount: 1 + (n % 13) };
    expected.set(sale.shop, (expected.get(sale.shop) ?? 0) + sale.amount);
    return {
      topic: sales.name,
      partition: n % 2,
      key: Buffer.from(`till-${String(n % 5)}`),
      value: Buffer.from(JSON.stringify(sale)),
      headers: [],
      timestamp: Date.now(),
    };
  });
  const producer = figures.clients.kafka.producer();
  await producer.send(records);
  await producer.close();
}

async function assertRows(): Promise<void> {
  const rows = await database.query<{ shop: string; total: number }>("SELECT * FROM totals");
  assert.deepEqual(new Map(rows.map(({ shop, total }) => [shop, total])), expected);
}

/** Both tasks of a part, when they have stopped for this reason and their notes say so. */
function stopped(worker: WorkerProcess, part: string, code: string): Promise<readonly string[]> {
  const isOne = (task: TaskHealth): boolean =>
    task.part === part && task.state === "stopped" && task.code === code;
  return eventually(`both tasks of ${part} have stopped with ${code}`, async () => {
    const { tasks = [], reasons = [] } = (await worker.health()) ?? {};
    if (tasks.filter(isOne).length < 2) return null;
    const { out } = await resume("--part", part, "--dry-run");
    return out.split("\n").filter((line) => line.includes(code)).length === 2 ? reasons : null;
  });
}

const others = (worker: WorkerProcess, part: string): Promise<true> =>
  eventually("the tasks of other parts run", async () => {
    const { tasks = [] } = (await worker.health()) ?? {};
    const neighbours = tasks.filter((task) => task.part !== part);
    return neighbours.length > 0 && neighbours.every(({ state }) => state === "running")
      ? true
      : null;
  });

const linesOf = ({ out }: Ended, shape: RegExp): number =>
  out.split("\n").filter((line) => shape.test(line)).length;

test("a spoiled table and spoiled copies stop tasks, which go on in the same process once both are mended", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await worker.ready();
  await send(200);
  await figures.drained();
  await assertRows();

  // A column that is away: sinks stop, and a second look while it is away stops them again.
  await database.query("ALTER TABLE totals RENAME COLUMN total TO total_away");
  await send(100);
  const reasons = await stopped(worker, "totals", "MILL_TABLE_DIFFERS");
  const told = reasons.filter((reason) => reason.endsWith(`npx millrace resume ${prefix}`));
  assert.equal(told.length, 2, reasons.join("\n"));
  await others(worker, "totals");
  const early = await resume();
  assert.equal(early.code, 1, early.out);
  assert.equal(linesOf(early, /^totals .* has stopped again: MILL_TABLE_DIFFERS /), 2, early.out);
  await database.query("ALTER TABLE totals RENAME COLUMN total_away TO total");
  // The message says how to look at the table, and then how to go on.
  const [look = [], on = [], ...more] = commandsIn(told[0] ?? "");
  assert.deepEqual(more, []);
  assert.equal((await appCommand(app, look, env)).code, 0);
  const mended = await appCommand(app, on, env);
  assert.equal(mended.code, 0, mended.out);
  assert.equal(linesOf(mended, /^totals .* runs again$/), 2, mended.out);
  await figures.drained();
  await assertRows();

  // Something else sits on the keys of both copies: stream tasks stop, after their commit was decided.
  const hashes = [0, 1].map((partition) => `{${prefix}:shop-total:${String(partition)}}`);
  await redis.unlink(...hashes);
  for (const hash of hashes) await redis.set(hash, "not a hash");
  await send(100);
  await stopped(worker, "by-shop", "MILL_STATE_TYPE");
  await redis.unlink(...hashes);
  const again = await resume();
  assert.equal(again.code, 0, again.out);
  assert.equal(linesOf(again, /^by-shop .* runs again$/), 2, again.out);

  await send(100);
  await figures.drained();
  await assertRows();
  await worker.ready();
  const none = await resume();
  assert.deepEqual([none.code, none.out.trim()], [0, "Nothing has stopped."]);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null });
  t.diagnostic([early.out, mended.out, again.out].join("\n"));
});
