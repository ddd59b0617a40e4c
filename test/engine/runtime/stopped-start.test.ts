// A worker that is stopped while it starts joins no group: nobody would be left to make it leave again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, resource, seconds, string, topic } from "#engine";
import { defaultLimits, type WorkerPorts } from "../../../src/engine/runtime/context.ts";
import { Worker } from "../../../src/engine/runtime/worker.ts";
import { memoryCopies } from "../../../src/engine/state/memory-copy.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";

const nothing = (): void => undefined;
const own = { key: string, partitions: 1, owner: "tests", value: json<number>() };
const [asked, answers] = [topic("asked", own), topic("answers", own)];
const service = resource("service", { env: {}, open: () => 1 });
const flow = pipeline("flow", ({ from }) => {
  from(asked)
    .mapAsync("ask", (n) => Promise.resolve(n), {
      ...{ client: service, concurrency: 1, timeout: seconds(1) },
    })
    .to(answers);
});

for (const isStopped of [false, true])
  test(`a worker that is ${isStopped ? "stopped while it opens a resource joins no group" : "left alone joins its group"}`, async () => {
    const clock = new FakeClock();
    const cluster = new MemoryKafka(clock);
    const plan = flow.plan();
    for (const { name, partitions, config } of plan.topics.all)
      cluster.createTopic({ topic: name, partitions, config });
    for (const name of plan.topics.own)
      cluster.createTopic({ topic: name, partitions: 1, config: {} });
    const kafka = cluster.port();
    let consumers = 0;
    let stopped: Promise<void> | null = null;
    const ports: WorkerPorts = {
      kafka: {
        ...{ admin: () => kafka.admin(), producer: () => kafka.producer() },
        ...{ reader: (...of) => kafka.reader(...of), close: () => kafka.close() },
        txProducer: (options) => kafka.txProducer(options),
        consumer: (options) => {
          consumers++;
          return kafka.consumer(options);
        },
      },
      registry: new MemoryRegistry(),
      tableStore: () => assert.fail("no table is written"),
      checkTables: () => Promise.resolve([]),
      stateCopies: () => memoryCopies(),
      clock,
      random: { next: () => 0.5, token: () => "me" },
      log: new RecordingLog(),
      meter: { count: nothing, gauge: nothing, observe: nothing, forget: nothing },
      openResource: () => {
        if (isStopped) stopped = worker.stop();
        return Promise.resolve({ client: 1, close: () => Promise.resolve() });
      },
    };
    const worker = new Worker([plan], ports, defaultLimits);
    let isOver = false;
    const started = worker.start().finally(() => (isOver = true));
    await clock.advanceUntil(() => isOver, 60_000);
    assert.equal(await started, !isStopped);
    assert.equal(consumers, isStopped ? 0 : 1);
    let isAtRest = false;
    const rest = (stopped ?? worker.stop()).then(() => (isAtRest = true));
    await clock.advanceUntil(() => isAtRest, 60_000);
    await rest;
  });
