// One thing after another happens to Redis, and to a worker whose state is in it, while lines never stop coming: whatever
// was lost, put back or refused is brought up from the changelog, and in the end every sum is exact to the cent.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import { startService, stopService, stopStack, type Stack } from "../../../src/stack/stack.ts";
import { appOf } from "../../support/app.ts";
import { refunds, spends, STORE } from "../../support/apps/spend.ts";
import { eventually } from "../../support/eventually.ts";
import { privateStack } from "../../support/stack.ts";
import { isWhole } from "../../support/whole.ts";
import type { WorkerProcess } from "../../support/worker-process.ts";
import { copyKeys, cutLog, layAside, logSize, putBack } from "../../support/copies-behind.ts";
import { checkFigures } from "./spend-figures.ts";
import {
  allBroughtUp,
  listen,
  PARTITIONS,
  PER_SECOND,
  SpendScene,
  stateful,
  tasksOf,
} from "./spend-scene.ts";

const COLD = 30_000;
const EIGHT_DAYS_MS = 8 * 86_400_000;
/** Longer than any session in test/long. */
const AWAY_MS = isWhole ? 45_000 : 4_000;
const SESSION_MS = 3_000;

/** Bytes of Redis' log: some writes of every partition are among them. */
const CUT_MIN = 40_000;

const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);

/** The servers, the flow, and the worker that lives through all of it. */
interface Chaos {
  readonly stack: Stack;
  readonly redis: Redis;
  readonly keys: readonly string[];
  readonly scene: SpendScene;
  readonly worker: WorkerProcess;
}

async function open(t: TestContext): Promise<Chaos> {
  const stack = await privateStack();
  t.after(() => stopStack(stack.dir, () => undefined, { purge: true }));
  const redis = new Redis(stack.redis.url);
  redis.on("error", () => undefined);
  t.after(() => redis.disconnect());
  const env = { ...stack.env, MILLRACE_SESSION_TIMEOUT_MS: String(SESSION_MS) };
  const scene = await SpendScene.open(t, { app: appOf("spend"), env });
  const first = await scene.worker();
  await scene.grow(COLD);
  await scene.flows(first);
  assert.deepEqual(await first.drain(), { code: 0, signal: null }, first.story());
  const worker = await scene.worker();
  return { stack, redis, keys: copyKeys(scene.sums.plan, STORE), scene, worker };
}

const repairsOf = async (worker: WorkerProcess): Promise<number> =>
  (await worker.metrics()).sum("millrace_state_repairs_total");

/** Keys that were not in memory. */
const readsOf = async (worker: WorkerProcess): Promise<number> =>
  (await worker.metrics()).sum("millrace_state_reads_total", { from: "copy" });

/** Until /ready says that every task of the sums waits for Redis; the process stays live. */
async function pauses(worker: WorkerProcess, why = "redis is away"): Promise<void> {
  await eventually("every task of the sums pauses", async () => {
    const tasks = stateful(await tasksOf(worker));
    const paused = tasks.filter((task) => task.state === "paused" && task.why === why);
    return paused.length === PARTITIONS ? true : null;
  });
  assert.equal((await worker.health())?.ok, false);
  assert.equal((await worker.health("/live"))?.ok, true);
}

/** While `work` goes on, what has no state goes on and what has does not. */
async function onlyStateless({ scene }: Chaos, work: () => Promise<unknown>): Promise<void> {
  const ends = (): Promise<bigint[]> =>
    Promise.all([spends, refunds].map(({ name }) => scene.sums.end(name)));
  // The markers of the last transaction may come behind its decision.
  await delay(1_000);
  const [sumsBefore = 0n, refundsBefore = 0n] = await ends();
  const startedMs = Date.now();
  await work();
  const [sums, back = 0n] = await ends();
  const seconds = Math.floor((Date.now() - startedMs) / 1_000);
  assert.equal(sums, sumsBefore, "sums were told without state");
  // One in twenty of the lines, less what a slow machine needs.
  const least = BigInt(Math.floor((seconds * PER_SECOND) / 20 / 4));
  assert.ok(
    back > refundsBefore + least,
    `${String(back - refundsBefore)} refunds, ${String(seconds)} s`,
  );
}

async function isWarm({ scene, worker }: Chaos): Promise<void> {
  await scene.flows(worker);
  const kinds = listen(worker, 0)
    .broughtUp()
    .map(({ kind }) => kind);
  assert.ok(!kinds.includes("rebuild"), "a takeover needs no rebuild");
  assert.equal(await repairsOf(worker), 0);
}

async function isWiped({ redis, scene, worker }: Chaos, t: TestContext): Promise<void> {
  const ear = listen(worker);
  const reads = await readsOf(worker);
  const seen = new Set<string>();
  await redis.flushall();
  // So slow that a look at /ready comes in between; what only reads goes on.
  await redis.client("PAUSE", 1_000, "WRITE");
  await eventually("/ready tells the progress of a rebuild", async () => {
    for (const task of await tasksOf(worker))
      if (task.state === "starting") seen.add(task.why ?? "");
    return [...seen].some((why) => /^restores state: \d+ of \d+ changes$/.test(why)) ? true : null;
  });
  const up = await allBroughtUp(ear, worker);
  assert.ok(
    up.every(({ kind, changes }) => kind === "rebuild" && changes >= COLD / PARTITIONS / 2),
  );
  await scene.flows(worker);
  assert.ok((await readsOf(worker)) > reads, "no key was read that is not in memory");
  assert.ok((await repairsOf(worker)) >= PARTITIONS);
  const told = up.map(({ changes, ms }) => `${String(changes)} changes in ${String(ms)} ms`);
  t.diagnostic(`rebuilt: ${told.join(", ")}; seen: ${[...seen].join(", ")}`);
}

/** Noticed by a write alone: every key that comes is in memory. */
async function isPutBack({ redis, keys, scene, worker }: Chaos): Promise<void> {
  scene.isHotOnly = true;
  await layAside(redis, keys);
  await delay(10_000);
  await scene.flows(worker);
  const reads = await readsOf(worker);
  const ear = listen(worker);
  await putBack(redis, keys);
  const up = await allBroughtUp(ear, worker);
  assert.ok(
    up.every(({ kind, changes }) => kind === "forward" && changes >= PER_SECOND),
    JSON.stringify(up),
  );
  assert.equal(await readsOf(worker), reads);
  scene.isHotOnly = false;
  await scene.flows(worker);
}

async function looksOld({ redis, keys, scene, worker }: Chaos): Promise<void> {
  await layAside(redis, keys, EIGHT_DAYS_MS);
  await delay(1_000);
  const ear = listen(worker);
  await putBack(redis, keys);
  const up = await allBroughtUp(ear, worker);
  assert.deepEqual(new Set(up.map(({ kind }) => kind)), new Set(["rebuild"]));
  await scene.flows(worker);
}

async function logIsCut({ stack, scene, worker }: Chaos, t: TestContext): Promise<void> {
  const home = join(stack.dir, "redis");
  const before = logSize(home);
  await eventually("enough is written that may be lost", () =>
    logSize(home) > before + 2 * CUT_MIN ? true : null,
  );
  await scene.flows(worker);
  const ear = listen(worker);
  await stopService(stack.dir, "redis", { signal: "SIGKILL" });
  // No further back than this step: what was before, another step has checked.
  const bytes = CUT_MIN + Math.floor((logSize(home) - before - CUT_MIN) * random.next());
  cutLog(home, bytes);
  await pauses(worker);
  await startService(stack.dir, "redis");
  const up = await allBroughtUp(ear, worker);
  assert.ok(
    up.every(({ kind, changes }) => kind === "forward" && changes > 0),
    JSON.stringify(up),
  );
  await scene.flows(worker);
  t.diagnostic(
    `${String(bytes)} bytes cut off, ${String(up.map(({ changes }) => changes))} changes`,
  );
}

async function isAway(chaos: Chaos): Promise<void> {
  const { stack, scene, worker } = chaos;
  const ear = listen(worker);
  await stopService(stack.dir, "redis");
  await pauses(worker);
  await onlyStateless(chaos, () => delay(AWAY_MS));
  await pauses(worker);
  assert.ok(ear.heard("waiting for a dependency").length > 0);
  await startService(stack.dir, "redis");
  await scene.flows(worker);
  assert.deepEqual(
    ear.broughtUp().filter(({ kind }) => kind === "rebuild"),
    [],
  );
}

/** A worker that sleeps beyond its session wakes up as a zombie: another one has gone on with its tasks. */
async function sleeps({ scene, worker }: Chaos, t: TestContext): Promise<void> {
  const other = await scene.worker();
  const running = async (one: WorkerProcess): Promise<number> =>
    stateful(await tasksOf(one)).filter(({ state }) => state === "running").length;
  await eventually("both have tasks", async () =>
    (await running(other)) > 0 && (await running(worker)) > 0 ? true : null,
  );
  await scene.caughtUp(worker);
  worker.kill("SIGSTOP");
  await delay(SESSION_MS);
  // Far below the time after which everybody gives a sleeper up.
  await scene.caughtUp(other, 30_000);
  await scene.flows(other);
  worker.kill("SIGCONT");
  await eventually("the worker is a member again", async () =>
    (await running(worker)) > 0 ? true : null,
  );
  await scene.caughtUp(worker);
  assert.deepEqual(await other.drain(), { code: 0, signal: null }, other.story());
  await scene.flows(worker);
  const fenced = (await worker.metrics()).sum("millrace_fenced_total");
  t.diagnostic(`checkpoints of the zombie that were refused: ${String(fenced)}`);
}

async function isFull(chaos: Chaos): Promise<void> {
  const { redis, scene, worker } = chaos;
  const ear = listen(worker);
  await redis.config("SET", "maxmemory", "1mb");
  await pauses(worker, "redis is full");
  const waits = ear.heard("waiting for a dependency");
  assert.ok(
    waits.some(({ code }) => code === "MILL_REDIS_MEMORY"),
    worker.story(),
  );
  await onlyStateless(chaos, () => delay(4_000));
  await redis.config("SET", "maxmemory", "0");
  await scene.flows(worker);
  assert.deepEqual(
    ear.broughtUp().filter(({ kind }) => kind === "rebuild"),
    [],
  );
}

/** Something else has taken a copy's key: its task stops and is whole again after the key was removed and a fresh start. */
async function isOverwritten(chaos: Chaos): Promise<void> {
  const { redis, keys, scene, worker } = chaos;
  const key = keys[1] ?? "";
  await redis.set(key, "not ours");
  await eventually("one task stops", async () => {
    const tasks = await tasksOf(worker);
    const stopped = tasks.filter(({ state }) => state === "stopped");
    assert.ok(stopped.every((one) => "code" in one && one.code === "MILL_STATE_TYPE"));
    return stopped.length === 1 ? true : null;
  });
  await delay(2_000);
  assert.equal(await redis.get(key), "not ours");
  const running = (await tasksOf(worker)).filter(({ state }) => state === "running");
  assert.equal(running.length, 3 * PARTITIONS - 1);
  await redis.unlink(key);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  const next = await scene.worker();
  const ear = listen(next, 0);
  await scene.flows(next);
  const rebuilt = ear.broughtUp().filter(({ kind }) => kind === "rebuild");
  assert.equal(rebuilt.length, 1, "only the copy that was taken is made anew");
  assert.match(rebuilt[0]?.changelog ?? "", /-1$/);
}

test("sums are exact to the cent, whatever becomes of Redis", { timeout: 600_000 }, async (t) => {
  t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
  const chaos = await open(t);
  const { worker, scene, redis } = chaos;
  type Work = (chaos: Chaos, inner: TestContext) => Promise<void>;
  const step = async (name: string, work: Work): Promise<void> => {
    let isDone = false;
    await t.test(name, async (inner) => {
      await work(chaos, inner);
      isDone = true;
    });
    assert.ok(isDone, `not gone on with after: ${name}`);
  };
  await step("a fresh worker finds its state in Redis", isWarm);
  await step("Redis is wiped: made anew from the changelogs, with progress that is told", isWiped);
  await step(
    "Redis is as it was ten seconds ago: noticed by a write, read on from there",
    isPutBack,
  );
  await step(
    "Redis looks as it was eight days ago: made anew, since deletes may be gone",
    looksOld,
  );
  await step("Redis is killed and its log cut: what is missing is read on", logIsCut);
  await step("Redis is away for a while: what has no state goes on", isAway);
  await step("a worker sleeps beyond its session and wakes up as a zombie", sleeps);
  await step("Redis is full: the sums wait and say why, and go on when there is room", isFull);
  await step("until here no task has stopped, and it was one process", () => {
    assert.ok(!worker.hasEnded);
    assert.deepEqual(
      worker.lines.filter(({ level }) => level === "error"),
      [],
    );
    return Promise.resolve();
  });
  await step(
    "a copy's key is taken by something else: one task stops, and says why",
    isOverwritten,
  );
  await step(
    "every sum, row, copy, refund and ledger is exact, and there are no letters",
    async () => {
      const records = await checkFigures(scene, redis);
      t.diagnostic(`${String(records)} lines`);
      const letters = [scene.sums, scene.refunds].map((all) => all.raw(all.plan.deadLetters));
      assert.deepEqual((await Promise.all(letters)).flat(), []);
    },
  );
});
