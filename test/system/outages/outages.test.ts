// Each server goes away in mid-flow and comes back: the worker says what it waits for, goes on by itself in the same
// process, and in the end every figure is exact. One stack, one worker, data flowing all the time. Outages are longer, and there
// is one more, in test/long/outages.ts.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { headerText, partitionOf, type RawRecord } from "../../../src/engine/core/record.ts";
import { imbalanceOf, ledgerTotals } from "../../../src/engine/core/ledger.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import type { TaskHealth } from "../../../src/engine/observe/health.ts";
import { startService, stopService, stopStack, type Stack } from "../../../src/stack/stack.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appOf, applyApp } from "../../support/app.ts";
import {
  PARTITIONS,
  cleanReadings,
  outages,
  readings,
  readingV2,
  type Reading,
} from "../../support/apps/outages.ts";
import { eventually } from "../../support/eventually.ts";
import { Feeder } from "../../support/feeder.ts";
import { privateStack } from "../../support/stack.ts";
import { isWhole } from "../../support/whole.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const PER_SECOND = 200;
const POSTGRES_AWAY_MS = isWhole ? 20_000 : 4_000;
const app = appOf("outages");
const partitions = PARTITIONS;

const readingOf = (n: number): Reading => ({
  n,
  sensor: `s${String(n % 50)}`,
  level: n % 40 === 7 ? -1 : n % 100,
});

/** Everything that runs while servers come and go. */
class Scene {
  readonly stack: Stack;
  readonly figures: AppFigures;
  readonly worker: WorkerProcess;
  readonly feeder: Feeder;
  /** Set while some records are written by a newer schema. */
  newer: ((reading: Reading) => Buffer) | null = null;

  private constructor(stack: Stack, figures: AppFigures, worker: WorkerProcess, id: number) {
    this.stack = stack;
    this.figures = figures;
    this.worker = worker;
    const encode = encoder(
      readings.value.format.kind === "avro" ? readings.value.format.schema : "",
      id,
    );
    this.feeder = new Feeder({
      kafka: figures.clients.kafka,
      perSecond: PER_SECOND,
      record: (n) => {
        const reading = readingOf(n);
        const key = Buffer.from(reading.sensor);
        const value = (n % 2 === 0 ? this.newer : null)?.(reading) ?? encode(reading);
        const partition = partitionOf(key, partitions, 0);
        return { topic: readings.name, partition, key, value, headers: [], timestamp: Date.now() };
      },
    });
  }

  static async open(t: TestContext): Promise<Scene> {
    const stack = await privateStack();
    t.after(() => stopStack(stack.dir, () => undefined, { purge: true }));
    await applyApp(app, stack.env);
    const figures = new AppFigures(outages.plan(), stack.env);
    t.after(() => figures.close());
    const worker = await WorkerProcess.start(t, { args: [], env: stack.env, app });
    const format = readings.value.format as { schema: AvroSchema };
    const id = await figures.clients.registry.idOf("readings-value", JSON.stringify(format.schema));
    const scene = new Scene(stack, figures, worker, id ?? 0);
    t.after(() => scene.feeder.stop());
    return scene;
  }

  /** Until a record that was sent after this call is a row: everything flows. */
  async flows(): Promise<void> {
    const from = this.feeder.next;
    await eventually(
      `a row of a record after ${String(from)}\n${this.worker.story()}`,
      async () => {
        assert.ok(!this.worker.hasEnded, this.worker.story());
        const query = "SELECT max(n) AS n FROM public.reading_rows";
        const { rows } = await this.figures.clients.pool.query<{ n: number | null }>(query);
        return (rows[0]?.n ?? -1) > from ? true : null;
      },
    );
    // All of it, also after a neighbour has left.
    await eventually(`every task runs\n${this.worker.story()}`, async () => {
      const tasks = (await this.worker.health())?.tasks ?? [];
      const running = tasks.filter(({ state }) => state === "running");
      return running.length === 2 * partitions ? true : null;
    });
  }

  /** Until /ready says no, with every task of the part paused for this reason; the process stays live. */
  async pauses(part: string, why: string): Promise<void> {
    let tasks: readonly TaskHealth[] = [];
    await eventually(`${part} pauses, since ${why}`, async () => {
      const health = await this.worker.health();
      tasks = health?.tasks.filter((task) => task.part === part) ?? [];
      const isPaused = tasks.every((task) => task.state === "paused" && task.why === why);
      return tasks.length === partitions && isPaused && health?.ok === false ? true : null;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(tasks)}`);
    });
    assert.equal((await this.worker.health("/live"))?.ok, true);
  }
}

const encoder =
  (schema: AvroSchema, writerId: number) =>
  (value: object): Buffer => {
    const format = { kind: "avro", name: "outages.Reading", schema } as const;
    const codec = compileCodec(format, { schemas: { get: () => undefined }, writerId });
    return codec.encode(value) as Buffer;
  };

async function postgresIsAway(scene: Scene): Promise<void> {
  const { stack, figures } = scene;
  const cleanBefore = await figures.end(cleanReadings.name);
  await stopService(stack.dir, "postgres");
  const until = Date.now() + POSTGRES_AWAY_MS;
  await scene.pauses("reading_rows", "postgres is away");
  await delay(until - Date.now());
  await scene.pauses("reading_rows", "postgres is away");
  const stream = (await scene.worker.health())?.tasks.filter(({ part }) => part === "main");
  assert.ok(
    stream?.every(({ state }) => state === "running"),
    "the stream part goes on",
  );
  assert.ok(
    (await figures.end(cleanReadings.name)) >
      cleanBefore + BigInt((PER_SECOND * POSTGRES_AWAY_MS) / 2_000),
  );
  await startService(stack.dir, "postgres");
  await scene.flows();
}

async function registryIsAway(scene: Scene, t: TestContext): Promise<void> {
  const { stack, figures, worker } = scene;
  const id = await figures.clients.registry.register("readings-value", JSON.stringify(readingV2));
  await stopService(stack.dir, "registry");
  // Nothing new to learn: nothing is felt.
  await scene.flows();
  const newer = encoder(readingV2, id);
  scene.newer = (reading) => newer({ ...reading, unit: "mm" });
  await scene.pauses("main", "registry is away");
  const fresh = await WorkerProcess.start(t, { args: [], env: stack.env, app });
  const waits = async (): Promise<true | null> => {
    assert.ok(!fresh.hasEnded, fresh.story());
    const reasons = (await fresh.health())?.reasons ?? [];
    return reasons.some((reason) => /registry is away/.test(reason)) ? true : null;
  };
  await eventually("a fresh worker waits for the registry", waits);
  await delay(2_000);
  assert.equal(await waits(), true);
  await scene.pauses("main", "registry is away");
  await startService(stack.dir, "registry");
  await fresh.ready();
  assert.deepEqual(await fresh.drain(), { code: 0, signal: null });
  assert.ok(!worker.hasEnded);
  await scene.flows();
}

/** A broker that is killed stays away until the worker says so and has given a commit up; one that is restarted is back at once. */
async function kafkaIsAway(scene: Scene, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  const { stack, figures, feeder } = scene;
  await scene.flows();
  const consumed = (await figures.ledger("main")).consumed;
  // So much that the worker is in the middle of it.
  if (signal === "SIGKILL") await feeder.burst(20_000);
  await stopService(stack.dir, "kafka", { signal });
  if (signal === "SIGKILL") await scene.pauses("main", "kafka is away");
  if (signal === "SIGKILL" && isWhole) {
    await eventually("a commit is given up", async () =>
      (await scene.worker.metrics()).sum("millrace_rewinds_total") > 0 ? true : null,
    );
    await scene.pauses("main", "kafka is away");
  }
  await startService(stack.dir, "kafka");
  await scene.flows();
  assert.ok((await figures.ledger("main")).consumed > consumed, "progress was kept");
}

const sourcePartition = ({ headers }: RawRecord): number =>
  Number(headerText(headers, "dlq.partition"));

async function figuresAreExact({ figures, feeder }: Scene): Promise<void> {
  await feeder.stop();
  await figures.drained();
  const source = await figures.values<Reading>(readings.name);
  const sent = source.map(({ n }) => n);
  assert.equal(new Set(sent).size, sent.length, "the feeder sends nothing twice");
  const held = new Set(sent);
  assert.deepEqual(
    feeder.acknowledged.filter((n) => !held.has(n)),
    [],
    "Kafka keeps what it acknowledged",
  );
  const good = source.filter(({ level }) => level >= 0);
  const bad = source.filter(({ level }) => level < 0);
  assert.ok(bad.length > 50);
  // Partition by partition in the order of the source: nothing is lost, doubled or out of place.
  assert.deepEqual(await figures.values(cleanReadings.name), good);
  const letters = (await figures.raw(figures.plan.deadLetters)).toSorted(
    (a, b) => sourcePartition(a) - sourcePartition(b),
  );
  assert.deepEqual(await figures.values(readings.name, letters), bad);
  assert.ok(letters.every(({ headers }) => headerText(headers, "dlq.class") === "rule"));
  const { rows } = await figures.clients.pool.query<Reading>(
    "SELECT n, sensor, level FROM public.reading_rows ORDER BY n",
  );
  assert.deepEqual(
    rows,
    good.toSorted((a, b) => a.n - b.n),
  );
  const main = await figures.ledger("main");
  const consumed = source.length;
  const expected = { consumed, "dead-lettered": bad.length, emitted: good.length };
  assert.deepEqual(ledgerTotals(main), expected);
  const sink = await figures.ledger("reading_rows");
  assert.deepEqual(ledgerTotals(sink), { consumed: good.length, emitted: good.length });
  assert.deepEqual([main, sink].map(imbalanceOf), [0, 0]);
}

test("a worker outlives the outage of every server", { timeout: 600_000 }, async (t) => {
  const scene = await Scene.open(t);
  const { worker } = scene;
  const { pid } = worker;
  await scene.flows();
  const step = async (name: string, work: (inner: TestContext) => Promise<void>): Promise<void> => {
    let isDone = false;
    await t.test(name, async (inner) => {
      await work(inner);
      isDone = true;
    });
    assert.ok(isDone, `not gone on with after: ${name}`);
  };
  await step("Postgres is away for a while: its tasks pause and go on by themselves", () =>
    postgresIsAway(scene),
  );
  await step("the registry is away when a new schema id comes, and at a fresh start", (inner) =>
    registryIsAway(scene, inner),
  );
  await step("the broker is killed and comes back", () => kafkaIsAway(scene, "SIGKILL"));
  if (isWhole) await step("the broker is restarted in order", () => kafkaIsAway(scene, "SIGTERM"));
  await step("every figure is exact, nothing is lost or doubled, the ledger balances", () =>
    figuresAreExact(scene),
  );
  await step("it was one process all the time, no task has stopped, and it drains", async () => {
    assert.equal(worker.pid, pid);
    assert.deepEqual(
      worker.lines.filter(({ level }) => level === "error"),
      [],
    );
    assert.deepEqual(await worker.drain(), { code: 0, signal: null });
  });
});
