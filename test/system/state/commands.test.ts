// The commands that operate a pipeline with state, on real servers and a real worker: what they show, find and mend, and
// that after each of them every record counts once.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test, type TestContext } from "node:test";
import { Redis } from "ioredis";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type Ended } from "../../support/app.ts";
import type { Sale } from "../../support/apps/totals.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `totals-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing } = await import("../../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });

const SHOPS = 7;
let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;
let redis: Redis;
/** What a second, naive program makes of everything that was sent. */
const expected = new Map<string, number>();

before(async () => {
  database = await freshDatabase();
  const stack = await sharedStack();
  env = { ...stack, DATABASE_URL: database.url, MILLRACE_SESSION_TIMEOUT_MS: "2000" };
  figures = new AppFigures(summing.plan(), env);
  redis = new Redis(stack.REDIS_URL);
  await applyApp(app, env);
});
after(async () => {
  redis.disconnect();
  await figures.close();
  await database.drop();
});

const millrace = (...argv: string[]): Promise<Ended> => appCommand(app, argv, env);
const jsonLines = <T>({ out }: Ended): T[] =>
  out
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as T);

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

async function worker(t: TestContext): Promise<WorkerProcess> {
  return WorkerProcess.start(t, { args: [], env, app });
}

async function drained(t: TestContext): Promise<WorkerProcess> {
  const started = await worker(t);
  await started.ready();
  await figures.drained();
  return started;
}

async function assertRows(): Promise<void> {
  const rows = await database.query<{ shop: string; total: number }>("SELECT * FROM totals");
  assert.deepEqual(new Map(rows.map(({ shop, total }) => [shop, total])), expected);
}

interface Verified {
  readonly partition: number;
  readonly keys: number;
  readonly problem: string | null;
  readonly counts: Record<string, number>;
  readonly isSame: boolean;
}

/** Writes behind the worker's back: keys of one partition, the whole of the other; and sees that it is found. */
async function spoil(held: number): Promise<void> {
  const hash = (partition: number): string => `{${prefix}:shop-total:${String(partition)}}`;
  const other = 1 - held;
  await redis.hdel(hash(held), "shop-3");
  await redis.hset(hash(held), "shop-x", "x");
  await redis.unlink(hash(other));
  await redis.set(hash(other), "not a hash");
  const found = await millrace("state", "verify", prefix, "--json");
  assert.equal(found.code, 1, found.out);
  const verified = new Map(jsonLines<Verified>(found).map((one) => [one.partition, one]));
  assert.deepEqual(verified.get(held)?.counts, { missing: 1, extra: 1, different: 0 });
  assert.match(verified.get(other)?.problem ?? "", /does not hold a hash/);
  assert.ok(!found.out.includes("shop-3") && !found.out.includes("shop-x"));
}

const options = { timeout: 600_000 };

test(
  "while a worker runs: ledgers balance, a key is shown, copies are verified and mended",
  options,
  async (t) => {
    await send(400);
    await drained(t);
    await assertRows();

    const ledger = await millrace("ledger", "check", "--json");
    assert.equal(ledger.code, 0, ledger.out);
    const consumed = jsonLines<{ part: string; ledger: { consumed: number } }>(ledger);
    assert.equal(consumed.find(({ part }) => part === "main")?.ledger.consumed, 400);

    const got = await millrace("state", "get", prefix, "shop-total", "--key", "shop-3", "--json");
    assert.equal(got.code, 0, got.out);
    const [entry] = jsonLines<{ verdict: string; partition: number; copy: { value: number } }>(got);
    assert.deepEqual([entry?.verdict, entry?.copy.value], ["same", expected.get("shop-3")]);

    const sound = await millrace("state", "verify", prefix, "--json");
    assert.equal(sound.code, 0, sound.out);
    const keys = jsonLines<Verified>(sound).reduce((sum, one) => sum + one.keys, 0);
    assert.equal(keys, SHOPS);

    await spoil(entry?.partition ?? 0);
    const repaired = await millrace("state", "verify", prefix, "--repair");
    assert.equal(repaired.code, 0, repaired.out);
    await send(100);
    await figures.drained();
    await assertRows();
    assert.equal((await millrace("state", "rebuild", prefix)).code, 0);
    assert.equal((await millrace("state", "verify", prefix)).code, 0);

    const refused = await millrace(
      "offsets",
      "reset",
      prefix,
      "--to",
      "earliest",
      "--with-state",
      "--no-wait",
      "--yes",
    );
    assert.equal(refused.code, 5, refused.out);
    assert.match(refused.out, /MILL_OFFSETS_ACTIVE/);
  },
);

test("begun anew with empty stores, every record is counted once again", options, async (t) => {
  await send(50);
  const first = await drained(t);
  assert.equal((await first.drain()).code, 0);
  const before = await figures.end(`${prefix}-shop-total-changelog`);
  assert.ok(before > 0n);
  const back = await millrace(
    "offsets",
    "reset",
    prefix,
    "--part",
    "main",
    "--to",
    "earliest",
    "--yes",
  );
  assert.equal(back.code, 5, back.out);
  assert.match(back.out, /MILL_OFFSETS_STATE/);

  const anew = await millrace(
    "offsets",
    "reset",
    prefix,
    "--to",
    "earliest",
    "--with-state",
    "--yes",
  );
  assert.equal(anew.code, 0, anew.out);
  const marks = await figures.admin.watermarks(`${prefix}-shop-total-changelog`);
  assert.ok(marks.every(({ low, high }) => low === high));
  const changelog = `${prefix}-shop-total-changelog`;
  const described = await figures.admin.describeTopics([changelog]);
  assert.equal(described.get(changelog)?.config["cleanup.policy"], "compact");
  assert.equal(await redis.exists(`{${prefix}:shop-total:0}`, `{${prefix}:shop-total:1}`), 0);

  const second = await drained(t);
  await assertRows();
  assert.equal((await millrace("state", "verify", prefix)).code, 0);
  assert.equal((await millrace("ledger", "check")).code, 0);
  await second.drain();
});

test(
  "a topic that was made anew stops its tasks, and /ready names the command that leads on",
  options,
  async (t) => {
    await figures.admin.deleteTopics([sales.name]);
    const spec = { topic: sales.name, partitions: 2, replicationFactor: -1, config: {} };
    await figures.admin.createTopics([spec]);
    const stopped = await worker(t);
    const command = await eventually("a task has stopped", async () => {
      const told = JSON.stringify(await stopped.health());
      return /MILL_SOURCE_TOPIC_RECREATED/.test(told)
        ? (/npx millrace (offsets reset [^"\\]+?--to earliest)/.exec(told)?.[1] ?? null)
        : null;
    });
    await stopped.drain();
    const led = await millrace(...command.split(" "), "--yes");
    assert.equal(led.code, 0, led.out);
    await send(60);
    await drained(t);
    await assertRows();
  },
);
