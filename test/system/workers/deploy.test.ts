// A rolling deploy on real servers: a version that calls a field by another name, while records of the version before lie
// between the parts. No payment is lost, none becomes a letter.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type App } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";
import { writingCodecs } from "../../../src/cli/topic-codecs.ts";

const prefix = `deploy-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { paying, payments, paid } = await import("../../support/apps/payments.ts");

const appFor = (version: string, made: string): App =>
  appOf("payments", { TEST_TOPICS: prefix, TEST_VERSION: version, TEST_MADE: made });
const ACCOUNTS = 5;

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;
let sent = 0;
const expected = new Map<string, number>();

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(paying.plan(), env);
  await applyApp(appFor("1", "0"), env);
});
after(async () => {
  await figures.close();
  await database.drop();
});

/** As producers of the first version write them. */
async function send(count: number): Promise<void> {
  const [topic] = paying.plan().topics.all.filter(({ name }) => name === payments.name);
  assert.ok(topic !== undefined);
  const { value } = await writingCodecs(topic, figures.clients.registry);
  const records = Array.from({ length: count }, () => {
    const n = sent++;
    const accountId = `account-${String(n % ACCOUNTS)}`;
    expected.set(accountId, (expected.get(accountId) ?? 0) + n);
    return {
      topic: payments.name,
      partition: n % 2,
      key: Buffer.from(`p${String(n)}`),
      value: value.encode({ id: `p${String(n)}`, accountId, cents: n }),
      headers: [],
      timestamp: Date.now(),
    };
  });
  const producer = figures.clients.kafka.producer();
  await producer.send(records);
  await producer.close();
}

async function sums(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { key, value } of await figures.raw(paid.name))
    found[String(key)] = Number(String(value));
  return found;
}

const reaches = (): Promise<unknown> =>
  eventually("every payment is counted", async () => {
    const found = await sums();
    const isDone = [...expected].every(([account, sum]) => found[account] === sum);
    return isDone ? true : null;
  });

async function nothingLost(): Promise<void> {
  assert.deepEqual(await sums(), Object.fromEntries(expected));
  const counts = await eventually("every row is there", async () => {
    const [row] = await database.query<{ n: string }>(
      "SELECT count(*)::text AS n FROM pay_rows WHERE who LIKE 'account-%'",
    );
    return row?.n === String(sent) ? row : null;
  });
  assert.equal(counts.n, String(sent));
  assert.equal((await figures.raw(paying.plan().deadLetters)).length, 0);
}

test("an alias: killed in the middle, the new version reads what the old one has left between parts", async (t) => {
  const old = await WorkerProcess.start(t, { args: [prefix], env, app: appFor("1", "0") });
  await old.ready();
  await send(4_000);
  await applyApp(appFor("2", "0"), env);
  const next = await WorkerProcess.start(t, { args: [prefix], env, app: appFor("2", "0") });
  await send(4_000);
  old.kill("SIGKILL");
  await send(2_000);
  await reaches();
  await nothingLost();
  await next.drain();
});

test("a step between: drained with the version before, then deployed, nothing is lost", async (t) => {
  const [old, next] = [appFor("1", "1"), appFor("2", "1")];
  const first = await WorkerProcess.start(t, { args: [prefix], env, app: old });
  await first.ready();
  await send(2_000);
  const drained = await appCommand(old, ["drain", prefix], env);
  assert.equal(drained.code, 0, drained.out);
  await first.drain();
  const second = await WorkerProcess.start(t, { args: [prefix], env, app: next });
  const resumed = await appCommand(next, ["resume", prefix], env);
  assert.equal(resumed.code, 0, resumed.out);
  await send(1_000);
  await reaches();
  await nothingLost();
  await second.drain();
});
