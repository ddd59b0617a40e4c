// Six weeks of a real chain's tills, a thousand lines a second, while one thing after another happens to the Redis that
// holds the sums: every household and department must be right to the cent. Takes about five minutes, so it is not part of
// `npm test`, where the same faults strike generated lines: `npm run test:long`.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { TaskHealth } from "../../src/engine/observe/health.ts";
import { startService, stopService, type Stack } from "../../src/stack/stack.ts";
import { eventually } from "../support/eventually.ts";
import { privateStack } from "../support/stack.ts";
import type { WorkerProcess } from "../support/worker-process.ts";
import { copyKeys, cutLog, layAside, logSize, putBack } from "../support/copies-behind.ts";
import { expected, SpendRun } from "../system/state/retail-spend-run.ts";

const EIGHT_DAYS_MS = 8 * 86_400_000;
const SESSION_MS = 3_000;
const PER_SECOND = 700;
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);

interface Scene {
  readonly stack: Stack;
  readonly redis: Redis;
  readonly keys: readonly string[];
  readonly run: SpendRun;
  readonly worker: WorkerProcess;
}

const stateful = ({ pipeline, part }: TaskHealth): boolean =>
  pipeline.endsWith("retail-spend") && !part.includes("spends");

const tasksOf = async (worker: WorkerProcess): Promise<readonly TaskHealth[]> =>
  (await worker.health())?.tasks ?? [];

/** Until so many more lines are in the sums of households. */
async function goesOn({ run, worker }: Scene, lines = 1_000): Promise<void> {
  const from = await run.summed();
  await eventually("the sums go on", async () => {
    assert.ok(!worker.hasEnded, worker.story());
    return (await run.summed()) >= Math.min(from + lines, expected.rows) || null;
  });
}

const repairs = async (worker: WorkerProcess): Promise<number> =>
  (await worker.metrics()).sum("millrace_state_repairs_total");

/** After `work` copies were found elsewhere and read on, and the sums go on. */
async function repaired(scene: Scene, work: () => Promise<unknown>): Promise<void> {
  const before = await repairs(scene.worker);
  await work();
  await eventually("copies are repaired", async () => {
    return (await repairs(scene.worker)) > before || null;
  });
  await goesOn(scene);
}

async function pauses(worker: WorkerProcess): Promise<void> {
  await eventually("tasks with state pause", async () => {
    const tasks = (await tasksOf(worker)).filter(stateful);
    return tasks.some(({ state }) => state === "paused") || null;
  });
}

async function isAway(scene: Scene, ms: number): Promise<void> {
  const { stack, run, worker } = scene;
  await stopService(stack.dir, "redis");
  await pauses(worker);
  // What was decided may still be on its way into the ledger.
  await delay(1_000);
  const [sums, { rows }] = [await run.summed(), await run.lines.decided()];
  await delay(ms);
  assert.equal(await run.summed(), sums, "sums went on without state");
  assert.ok((await run.lines.decided()).rows > rows, "what has no state stood still");
  await startService(stack.dir, "redis");
  await goesOn(scene);
}

async function logIsCut(scene: Scene, t: TestContext): Promise<void> {
  const home = join(scene.stack.dir, "redis");
  const before = logSize(home);
  await eventually("enough is written that may be lost", () =>
    logSize(home) > before + 100_000 ? true : null,
  );
  await stopService(scene.stack.dir, "redis", { signal: "SIGKILL" });
  const bytes = 20_000 + Math.floor(random.next() * 80_000);
  cutLog(home, bytes);
  t.diagnostic(`${String(bytes)} bytes cut off`);
  await repaired(scene, () => startService(scene.stack.dir, "redis"));
}

async function sleeps(scene: Scene): Promise<void> {
  const { run, worker } = scene;
  const other = await run.worker({ MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS) });
  const running = async (one: WorkerProcess): Promise<number> =>
    (await tasksOf(one)).filter(({ state }) => state === "running").length;
  await eventually("both have tasks", async () =>
    (await running(other)) > 0 && (await running(worker)) > 0 ? true : null,
  );
  worker.kill("SIGSTOP");
  await delay(2 * SESSION_MS);
  await goesOn({ ...scene, worker: other });
  worker.kill("SIGCONT");
  await eventually("the worker is a member again", async () =>
    (await running(worker)) > 0 ? true : null,
  );
  assert.deepEqual(await other.drain(), { code: 0, signal: null }, other.story());
  await goesOn(scene);
}

async function isFull(scene: Scene): Promise<void> {
  const { redis, worker } = scene;
  await redis.config("SET", "maxmemory", "1mb");
  await pauses(worker);
  await eventually("the log says that memory is short", () =>
    worker.lines.some(({ code }) => code === "MILL_REDIS_MEMORY") ? true : null,
  );
  await redis.config("SET", "maxmemory", "0");
  await goesOn(scene);
}

const faults: Readonly<Record<string, (scene: Scene, t: TestContext) => Promise<void>>> = {
  "FLUSHALL while it runs": (scene) => repaired(scene, () => scene.redis.flushall()),
  "Redis as it was ten seconds ago": (scene) =>
    repaired(scene, async () => {
      await layAside(scene.redis, scene.keys);
      await delay(10_000);
      await putBack(scene.redis, scene.keys);
    }),
  "Redis as it was eight days ago": (scene) =>
    repaired(scene, async () => {
      await layAside(scene.redis, scene.keys, EIGHT_DAYS_MS);
      await delay(1_000);
      await putBack(scene.redis, scene.keys);
    }),
  "the log of a killed Redis is cut": logIsCut,
  "Redis is stopped for sixty seconds": (scene) => isAway(scene, 60_000),
  "the worker sleeps beyond its session and comes back": sleeps,
  "Redis is full until there is room": isFull,
};

test("real sums to the cent, whatever becomes of Redis", { timeout: 900_000 }, async (t) => {
  t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
  const stack = await privateStack();
  const redis = new Redis(stack.redis.url);
  redis.on("error", () => undefined);
  t.after(() => redis.disconnect());
  const run = await SpendRun.prepare(t, stack, "long-");
  await run.sendProducts();
  const worker = await run.worker({ MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS) });
  const sent = run.lines.produce(expected.origin, "--rate", String(PER_SECOND));
  const plan = run.figures.plan;
  const names = plan.parts.flatMap(({ stores }) => stores.map(({ name }) => name));
  const keys = names.flatMap((name) => copyKeys(plan, name));
  const scene = { stack, redis, keys, run, worker };
  await goesOn(scene, 5_000);
  for (const [name, fault] of Object.entries(faults)) {
    let isDone = false;
    await t.test(name, async (inner) => {
      const summed = await run.summed();
      assert.ok(summed < expected.rows, "the lines ended before the fault");
      inner.diagnostic(`at ${String(summed)} of ${String(expected.rows)} lines`);
      await fault(scene, inner);
      isDone = true;
    });
    assert.ok(isDone, `not gone on with after: ${name}`);
  }
  await sent;
  await run.check();
  assert.ok(!worker.hasEnded);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
});
