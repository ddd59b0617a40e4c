// Windows, sessions, a join of streams, timers in the order of time and suppressed counts while their Redis is wiped and their workers
// are killed: every row is exact, and there once.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test, type TestContext } from "node:test";
import { Redis } from "ioredis";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { stopStack } from "../../src/stack/stack.ts";
import { appCommand, appOf, type App } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { privateStack, sharedStack } from "../support/stack.ts";
import type { WorkerProcess } from "../support/worker-process.ts";

const prefix = `timed-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sizeOf, TimedScene } = await import("../support/timed-scene.ts");
const app: App = appOf("timed", { TEST_TOPICS: prefix });

const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
/** Of a dead worker. */
const SESSION_MS = "6000";
/** Visits between two faults, and some more. */
const BETWEEN = 900;

async function ownRedis(t: TestContext): Promise<Redis> {
  const { dir, redis } = await privateStack(["redis"]);
  const admin = new Redis(redis.url);
  admin.on("error", () => undefined);
  t.after(async () => {
    admin.disconnect();
    await stopStack(dir, () => undefined, { purge: true });
  });
  return admin;
}

test("timers, joins, suppress, order and windows are exact over wiped copies and killed workers", async (t) => {
  t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
  const redis = await ownRedis(t);
  const { host, port } = redis.options;
  const servers = {
    ...(await sharedStack()),
    REDIS_URL: `redis://${String(host)}:${String(port)}`,
    MILLRACE_SESSION_TIMEOUT_MS: SESSION_MS,
  };
  const scene = await TimedScene.open(t, app, servers);
  const { figures } = scene;
  let workers: WorkerProcess[] = [await scene.worker(t), await scene.worker(t)];
  const consumed = async (): Promise<number> => (await figures.ledger("main")).consumed;
  const goesOn = async (): Promise<void> => {
    const from = await consumed();
    const wanted = from + BETWEEN * (0.5 + random.next());
    await eventually("work goes on", async () => ((await consumed()) >= wanted ? true : null));
  };
  const wipe = async (): Promise<void> => {
    assert.ok((await redis.dbsize()) > 0, "there is nothing to wipe");
    await redis.flushall();
  };
  const kill = async (count: number): Promise<void> => {
    for (const worker of workers.slice(0, count)) {
      worker.kill("SIGKILL");
      await worker.exit;
    }
    const fresh = await Promise.all(workers.slice(0, count).map(() => scene.worker(t)));
    workers = [...workers.slice(count), ...fresh];
  };

  const repairs = async (): Promise<number> => {
    const metrics = await Promise.all(workers.map((worker) => worker.metrics()));
    return metrics.reduce((sum, one) => sum + one.sum("millrace_state_repairs_total"), 0);
  };

  await goesOn();
  await wipe();
  await eventually("copies are made anew", async () => ((await repairs()) > 0 ? true : null));
  await goesOn();
  await kill(1);
  await goesOn();
  await Promise.all([wipe(), kill(2)]);
  await goesOn();
  await scene.feeder.pause();
  const rows = await scene.reached();
  t.diagnostic(`${String(await consumed())} records, ${String(sizeOf(rows))} rows exact`);

  const ledger = await figures.ledger("by-page");
  assert.ok((ledger.late["own"] ?? 0) > 0, "nothing was late");
  assert.deepEqual(await figures.raw(figures.plan.deadLetters), []);
  for (const worker of workers)
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  const verified = await appCommand(app, ["state", "verify", prefix], scene.env);
  assert.equal(verified.code, 0, verified.out);
});
