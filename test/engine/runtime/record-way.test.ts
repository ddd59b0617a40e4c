// The way of one record, counted: the engine's files in which a function runs between the fetch of a record and the commit
// of what came of it, by the coverage of V8. ARCHITECTURE.md lists them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { json, pipeline, string, topic } from "#engine";
import type { ConsumerHandlers, KafkaPort } from "../../../src/engine/core/kafka.ts";
import { defaultLimits, type WorkerPorts } from "../../../src/engine/runtime/context.ts";
import { Worker } from "../../../src/engine/runtime/worker.ts";
import { memoryCopies } from "../../../src/engine/state/memory-copy.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";

const nothing = (): void => undefined;
const FILES_MAX = 41;
const engine = fileURLToPath(new URL("../../../src/engine/", import.meta.url));

interface Paid {
  readonly amount: number;
}
const own = { key: string, partitions: 1, owner: "tests" };
const payments = topic("payments", { ...own, value: json<Paid>() });
const sums = topic("sums", { ...own, value: json<number>() });
const flow = pipeline("flow", ({ from }) => {
  from(payments)
    .groupByKey()
    .sum("total", ({ amount }) => amount)
    .to(sums);
});

/** The files that ARCHITECTURE.md names: folders in bold, each with its files. */
function listed(): string[] {
  const text = readFileSync(new URL("../../../ARCHITECTURE.md", import.meta.url), "utf8");
  const [, list = ""] = /<!-- way -->(.*)<!-- end of way -->/s.exec(text) ?? [];
  const folders = [...list.matchAll(/\*\*(\S+)\*\*([^*]*)/g)];
  return folders
    .flatMap(([, folder = "", files = ""]) =>
      [...files.matchAll(/[\w-]+/g)].map(([file]) => `${folder}/${file}.ts`),
    )
    .sort();
}

/** Counts calls of functions while it is open; one count begins where the last one was read. */
class Coverage {
  readonly #session = new Session();

  async open(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  }

  /** Files of the engine, but for the doubles of tests, in which a function has run since the last time. */
  async take(): Promise<string[]> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    return result
      .filter(({ functions }) => functions.some(({ ranges }) => (ranges[0]?.count ?? 0) > 0))
      .flatMap(({ url }) => (url.startsWith("file:") ? [fileURLToPath(url)] : []))
      .filter((path) => path.startsWith(engine))
      .map((path) => path.slice(engine.length))
      .filter((path) => !path.startsWith("testing/"))
      .sort();
  }
}

/** Tells when a batch comes, and when a transaction was committed. */
function watched(
  port: KafkaPort,
  onBatch: () => Promise<unknown>,
  onCommit: () => Promise<unknown>,
): KafkaPort {
  const over = <T extends object>(of: T, own: Partial<T>): T =>
    new Proxy(of, {
      get(target, name) {
        const value: unknown = name in own ? own[name as keyof T] : Reflect.get(target, name);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
  return over(port, {
    consumer: (options) => {
      const consumer = port.consumer(options);
      const start = (handlers: ConsumerHandlers): Promise<void> =>
        consumer.start({
          ...handlers,
          onBatch: (batch) => {
            void onBatch();
            handlers.onBatch(batch);
          },
        });
      return over(consumer, { start });
    },
    txProducer: (options) => {
      const producer = port.txProducer(options);
      return over(producer, {
        commit: () => producer.commit().then(async () => void (await onCommit())),
      });
    },
  });
}

test("a record of a part with state passes through few files from its fetch to its commit", async () => {
  const clock = new FakeClock();
  const cluster = new MemoryKafka(clock);
  const [plan] = [flow.plan()];
  for (const { name, partitions, config } of plan.topics.all)
    cluster.createTopic({ topic: name, partitions, config });
  for (const name of plan.topics.own)
    cluster.createTopic({ topic: name, partitions: 1, config: {} });
  const coverage = new Coverage();
  await coverage.open();
  let way: string[] | null = null;
  const kafka = watched(
    cluster.port(),
    () => coverage.take(),
    async () => void (way ??= await coverage.take()),
  );
  const ports: WorkerPorts = {
    kafka,
    registry: new MemoryRegistry(),
    tableStore: () => assert.fail("no table is written"),
    checkTables: () => Promise.resolve([]),
    stateCopies: () => memoryCopies(),
    clock,
    random: { next: () => 0.5, token: () => "me" },
    log: new RecordingLog(),
    meter: { count: nothing, gauge: nothing, observe: nothing, forget: nothing },
  };
  const worker = new Worker([plan], ports, defaultLimits);
  let [isStarted, isSent] = [false, false];
  const started = worker.start().then(() => (isStarted = true));
  await clock.advanceUntil(() => isStarted, 60_000);
  await started;
  const outside = cluster.port().producer();
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const send = (amount: number): Promise<unknown> =>
    outside.send([
      {
        topic: payments.name,
        partition: 0,
        key: Buffer.from("a"),
        value: bytes({ amount }),
        headers: [],
        timestamp: clock.now(),
      },
    ]);
  await clock.advance(3_000);
  way = null;
  const sent = send(1).then(() => (isSent = true));
  await clock.advanceUntil(() => isSent && way !== null, 10_000);
  await sent;
  const files = way as unknown as string[];
  assert.ok(files.length <= FILES_MAX, `${String(files.length)} files: ${files.join(", ")}`);
  assert.deepEqual(listed(), files, "ARCHITECTURE.md lists other files");
});
