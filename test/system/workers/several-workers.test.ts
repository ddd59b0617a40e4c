// Workers that come, go, stand still and die while lines flow: each line once, each household's lines in order, and
// nobody writes whose work another has taken over.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { before, describe, test, type TestContext } from "node:test";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import type { Stack } from "../../../src/stack/stack.ts";
import { eventually } from "../../support/eventually.ts";
import { generated } from "../../support/retail-figures.ts";
import { RetailRun } from "../../support/retail-run.ts";
import { privateStack } from "../../support/stack.ts";
import { isWhole } from "../../support/whole.ts";
import { isAlive, type WorkerProcess } from "../../support/worker-process.ts";

const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
const expected = generated(40_000, seed);
/** Lines a second: the flow takes seven seconds, and every worker keeps up with it. */
const RATE = ["--rate", "6000"];
const drained = { code: 0, signal: null };

let stack: Stack;
before(async () => {
  stack = await privateStack(["kafka", "registry", "postgres"]);
});

/** Until so much of the whole flow is decided; returns how much, when it is still flowing. */
async function flowing(run: RetailRun, share: number): Promise<number> {
  const main = await eventually(`${String(share)} of the flow is decided`, async () => {
    const decided = await run.decided();
    return decided.main >= share * expected.records ? decided.main : null;
  });
  assert.ok(main < expected.records, "the flow was over too soon");
  return main;
}

const metricOf = (
  worker: WorkerProcess,
  name: string,
  labels: Readonly<Record<string, string>>,
  isWanted: (value: number) => boolean,
): Promise<true> =>
  eventually(`${name} ${JSON.stringify(labels)} is as wanted`, async () => {
    assert.ok(!worker.hasEnded, worker.story());
    // It answers only once it has started.
    const metrics = await worker.metrics().catch(() => null);
    return (metrics !== null && isWanted(metrics.sum(name, labels))) || null;
  });

const runs = (worker: WorkerProcess, part: string, tasks: number): Promise<true> =>
  metricOf(worker, "millrace_task_state", { part, state: "running" }, (n) => n === tasks);

const isFenced = (worker: WorkerProcess, kind: "stream" | "sink"): Promise<true> =>
  metricOf(worker, "millrace_fenced_total", { kind }, (n) => n > 0);

const hasWorked = (worker: WorkerProcess, part: string): Promise<true> =>
  metricOf(worker, "millrace_consumed_records_total", { part }, (n) => n > 0);

const areGone = (pids: readonly number[], limitMs?: number): Promise<true> =>
  eventually("the children are gone", () => !pids.some(isAlive) || null, limitMs);

describe("a worker that stands still past its session", () => {
  test("commits nothing of what another has taken over, and counts that it was fenced", async (t) => {
    t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
    const run = await RetailRun.prepare(t, { stack, namespace: "zombie-" });
    const heir = await run.worker();
    await runs(heir, "main", 4);
    // It never commits of its own accord: all that it has processed it has in its hands, and no progress names it as
    // the owner of a transaction to be ended. Only the generation stands between it and the topic.
    const zombie = await run.worker([], { MILLRACE_CHECKPOINT_INTERVAL_MS: "600000" });
    await runs(zombie, "main", 2);
    const produced = run.produce(expected.origin, ...RATE);
    const least = 500 + random.next() * 2_000;
    const processed = { part: "main", operator: "quantity-positive" };
    await metricOf(zombie, "millrace_records_total", processed, (n) => n > least);
    zombie.kill("SIGSTOP");
    const frozenAt = await flowing(run, 0);
    await eventually("the heir has caught up with what the zombie had", async () => {
      const { main, mainEnd } = await run.decided();
      return mainEnd - main < 1_500 || null;
    });
    zombie.kill("SIGCONT");
    await isFenced(zombie, "stream");
    t.diagnostic(`stood still at ${String(frozenAt)} of ${String(expected.records)} records`);
    assert.deepEqual(await zombie.drain(), drained, zombie.story());
    await produced;
    // Sooner than what it had written into the topic would time out: it has ended that transaction itself.
    await run.drained(expected, 15_000);
    assert.deepEqual(await heir.drain(), drained, heir.story());
    await run.check(expected);
  });

  test("writes nothing into the table once another has raised the epoch", async (t) => {
    const run = await RetailRun.prepare(t, { stack, namespace: "epoch-" });
    const zombie = await run.worker();
    await runs(zombie, "retail_lines", 4);
    const produced = run.produce(expected.origin, ...RATE);
    await flowing(run, 0.1 + random.next() * 0.2);
    // A lock of somebody's holds the zombie in the middle of its transactions.
    const client = await run.database.connect();
    await client.query("BEGIN; LOCK TABLE retail_lines IN EXCLUSIVE MODE");
    await eventually("the zombie waits for the table", async () => {
      const waiting = await run.database.query("SELECT 1 FROM pg_locks WHERE NOT granted");
      return waiting.length > 0 || null;
    });
    zombie.kill("SIGSTOP");
    const epochs = "SELECT sum(epoch)::int AS epochs FROM millrace.progress";
    const [before] = await run.database.query<{ epochs: number }>(epochs);
    const heir = await run.worker();
    await eventually("the heir has raised every epoch", async () => {
      const [now] = await run.database.query<{ epochs: number }>(epochs);
      return (now?.epochs ?? 0) >= (before?.epochs ?? 0) + 4 || null;
    });
    await client.query("COMMIT");
    await client.end();
    zombie.kill("SIGCONT");
    await isFenced(zombie, "sink");
    await produced;
    await run.drained(expected);
    assert.deepEqual(await Promise.all([zombie.drain(), heir.drain()]), [drained, drained]);
    await run.check(expected);
  });
});

const aGuestComes = async (t: TestContext): Promise<void> => {
  const run = await RetailRun.prepare(t, { stack, namespace: "guest-" });
  const host = await run.worker();
  await runs(host, "main", 4);
  const half = expected.records / 2;
  const first = run.send(expected, { from: 0, to: half, perSecond: 4_000 });
  const cameAt = await flowing(run, 0.01 + random.next() * 0.1);
  const guest = await run.worker();
  await Promise.all([runs(guest, "main", 2), runs(guest, "retail_lines", 2), first]);
  const second = run.send(expected, { from: half, to: expected.records, perSecond: 4_000 });
  await Promise.all([hasWorked(guest, "main"), hasWorked(guest, "retail_lines")]);
  const leftAt = await flowing(run, 0.55 + random.next() * 0.2);
  assert.deepEqual(await guest.drain(), drained, guest.story());
  t.diagnostic(
    `came at ${String(cameAt)}, left at ${String(leftAt)} of ${String(expected.records)}`,
  );
  await second;
  await run.drained(expected);
  assert.deepEqual(await host.drain(), drained, host.story());
  await run.check(expected);
};
if (isWhole) test("a second worker joins and leaves while lines flow", aGuestComes);

test("two children share the work; a killed one comes back, and SIGTERM drains both", async (t) => {
  const run = await RetailRun.prepare(t, { stack, namespace: "pair-" });
  const parent = await run.worker(["--workers", "2"]);
  const areWhole = async (): Promise<void> => {
    await metricOf(parent, "millrace_up", {}, (n) => n === 2);
    await Promise.all([runs(parent, "main", 4), runs(parent, "retail_lines", 4)]);
    await parent.ready();
  };
  await areWhole();
  const produced = run.produce(expected.origin, ...RATE);
  await flowing(run, 0.1 + random.next() * 0.3);
  const [victim = 0, other = 0] = parent.children;
  process.kill(victim, "SIGKILL");
  t.diagnostic(`a child was killed at ${String(await flowing(run, 0))}`);
  await metricOf(parent, "millrace_worker_restarts_total", {}, (n) => n === 1);
  await areWhole();
  const children = parent.children;
  assert.ok(children.length === 2 && children.includes(other) && !children.includes(victim));
  await produced;
  await run.drained(expected);
  assert.deepEqual(await parent.drain(), drained, parent.story());
  await areGone(children);
  await run.check(expected);
});

test("signals", async (t) => {
  const run = await RetailRun.prepare(t, { stack, namespace: "signal-" });

  await t.test("children whose parent was killed drain and end", async () => {
    const parent = await run.worker(["--workers", "2"]);
    await parent.ready();
    const children = parent.children;
    assert.equal(children.length, 2);
    parent.kill("SIGKILL");
    await parent.exit;
    await areGone(children);
  });

  await t.test("a terminal's, which reaches parent and children, drains them", async () => {
    const parent = await run.worker(["--workers", "2"]);
    await parent.ready();
    const children = parent.children;
    parent.killGroup("SIGINT");
    assert.deepEqual(await parent.exit, drained, parent.story());
    await areGone(children);
  });

  await t.test(
    "one that comes while a worker still waits for a server ends the start",
    async () => {
      const silent = createServer().listen(0, "127.0.0.1");
      await once(silent, "listening");
      t.after(() => silent.close());
      const { port } = silent.address() as AddressInfo;
      const workers = await Promise.all([
        run.worker([], { KAFKA_BROKERS: "127.0.0.1:1" }),
        run.worker(["--workers", "2"], { KAFKA_BROKERS: "127.0.0.1:1" }),
        run.worker([], { SCHEMA_REGISTRY_URL: `http://127.0.0.1:${String(port)}` }),
        run.worker([], { KAFKA_BROKERS: `127.0.0.1:${String(port)}` }),
        run.worker([], { DATABASE_URL: `postgres://a:b@127.0.0.1:${String(port)}/c` }),
      ]);
      for (const worker of workers) {
        await eventually("it answers", () => worker.health());
        const askedMs = Date.now();
        assert.deepEqual(await worker.drain(), drained, worker.story());
        // A request to a server that is away takes half a minute to fail.
        assert.ok(Date.now() - askedMs < 15_000, worker.story());
        assert.ok(worker.lines.every(({ message }) => message !== "running"));
      }
    },
  );

  await t.test("a second one ends a worker at once, whatever it still waits for", async () => {
    const [single, parent] = await Promise.all([run.worker(), run.worker(["--workers", "2"])]);
    await Promise.all([single.ready(), parent.ready()]);
    const children = parent.children;
    // No drain can end while Kafka says nothing.
    const kafka = stack.pids.kafka ?? 0;
    process.kill(kafka, "SIGSTOP");
    try {
      for (const worker of [single, parent]) worker.kill("SIGTERM");
      await Promise.all([single.said("draining"), parent.said("draining")]);
      assert.ok(!single.hasEnded && !parent.hasEnded);
      single.kill("SIGTERM");
      parent.kill("SIGINT");
      const hasty = { code: 130, signal: null };
      assert.deepEqual(await Promise.all([single.exit, parent.exit]), [hasty, hasty]);
      // Long before a drain would give up on Kafka.
      await areGone(children, 5_000);
    } finally {
      process.kill(kafka, "SIGCONT");
    }
  });
});
