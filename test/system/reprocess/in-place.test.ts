// A run that corrects the live tables while the live pipeline writes them: what lay there when it was pinned is corrected,
// and nothing that live has written since is touched.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import type { Bid } from "../../support/apps/priced.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { commandIn } from "../../support/named-command.ts";
import { reprocess, ReprocessRun } from "../../support/reprocess-run.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `inplace-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { bids, pricing } = await import("../../support/apps/priced.ts");
const wrong = appOf("priced", { TEST_TOPICS: prefix, TEST_FACTOR: "1" });
const right = appOf("priced", { TEST_TOPICS: prefix, TEST_FACTOR: "2" });

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(pricing.plan(), env);
  await applyApp(wrong, env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

const AMOUNT = 10;
/** An id lies where its number says. */
async function send(given: readonly Bid[], perSend = 1_000): Promise<void> {
  const producer = figures.clients.kafka.producer();
  for (let at = 0; at < given.length; at += perSend)
    await producer.send(
      given.slice(at, at + perSend).map((bid) => ({
        topic: bids.name,
        partition: Number(bid.id.slice(1)) % 2,
        key: Buffer.from(bid.id),
        value: Buffer.from(JSON.stringify(bid)),
        headers: [],
        timestamp: Date.now(),
      })),
    );
  await producer.close();
}
const bidsOf = (from: number, to: number, version: number): Bid[] =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `b${String(from + i)}`,
    amount: AMOUNT,
    version,
  }));

/** Rows by their version and amount. */
const counted = async (table: string): Promise<Record<string, number>> => {
  const rows = await database.query<{ what: string; n: string }>(
    `SELECT concat('v', version, ' ', amount) AS what, count(*) AS n FROM ${table} GROUP BY 1 ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ what, n }) => [what, Number(n)]));
};
const until = (table: string, expected: Record<string, number>): Promise<unknown> =>
  eventually(
    `${table} is ${JSON.stringify(expected)}`,
    async () => JSON.stringify(await counted(table)) === JSON.stringify(expected) || null,
  );

test("old rows are corrected, rows that live has written since the pin stay, ties of version included", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [prefix], env, app: wrong });
  await send(bidsOf(0, 6_000, 1));
  await until("prices", { "v1 10": 6_000 });
  await until("bids", { "v1 11": 6_000 });

  const run = new ReprocessRun(t, {
    app: right,
    env,
    argv: [prefix, "--in-place", "--rate", "1500"],
  });
  await run.until("it reads", ({ done }) => done > 0);
  // Live goes on by its wrong rule: newer versions of some, and the same version of others once more.
  await send(bidsOf(0, 1_000, 2));
  await send(bidsOf(1_000, 2_000, 1));
  await run.until("it is at work still", ({ done, total }) => done > 0 && done < total);
  const { code } = await run.exit;
  assert.equal(code, 0, run.lines.join("\n"));
  assert.equal(run.last?.state, "done");

  // prices: 2,000 rows are newer and live's own; 4,000 were made by the rule that was wrong, and are corrected.
  await until("prices", { "v1 10": 1_000, "v1 20": 4_000, "v2 10": 1_000 });
  await until("bids", { "v1 11": 1_000, "v1 12": 4_000, "v2 11": 1_000 });
  const topics = await database.query<{ topic: string }>(
    "SELECT DISTINCT source_topic AS topic FROM prices",
  );
  assert.deepEqual(
    topics.map(({ topic }) => topic),
    [`${prefix}.prices`],
  );

  // A live row of the corrected version comes after it, and holds.
  await send(bidsOf(5_999, 6_000, 1));
  await until("prices", { "v1 10": 1_001, "v1 20": 3_999, "v2 10": 1_000 });
  await worker.drain();
});

test("the dead letters alone are read again, by the rule that is right now", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [prefix], env, app: wrong });
  await send([
    { id: "b7001", amount: -5, version: 1 },
    { id: "b7002", amount: -6, version: 1 },
  ]);
  await eventually(
    "they are letters",
    async () => (await figures.raw(`${prefix}-dead-letters`)).length === 2 || null,
  );
  const { code, out } = await reprocess(
    right,
    env,
    "run",
    prefix,
    "--dead-letters",
    "--fail-on-letters",
    "1",
  );
  assert.match(out, /2 open dead letters/);
  assert.match(out, /MILL_RUN_FAILED.*2 dead letters in \S+-dead-letters, allowed are 1/);
  assert.equal(code, 1, out);
  // Gone on with as it was, it has as many letters as before.
  const [, run = ""] = /--run (\d+) --fail-on-letters/.exec(out) ?? [];
  const again = await reprocess(right, env, "run", prefix, "--run", run);
  assert.equal(again.code, 1, again.out);
  assert.match(again.out, /MILL_RUN_FAILED.*allowed are 1/);
  // The message's own way.
  const [line = ""] = /^MILL_RUN_FAILED .*$/m.exec(again.out) ?? [];
  const led = await appCommand(right, commandIn(line), env);
  assert.equal(led.code, 0, led.out);
  assert.match(led.out, / is done: .*, 2 dead letters/);
  await worker.drain();
});
