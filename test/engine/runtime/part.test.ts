// A part in the hands of a group that plays the test's own script: it moves on in the middle of a commit, or delivers what
// does not follow. The fence must hold by what was captured, not by who waits for whom.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable, type Pipeline, type PostgresTable } from "#engine";
import type {
  AdminPort,
  ConsumerHandlers,
  GroupConsumer,
  GroupGeneration,
  KafkaPort,
  Progress,
  SentBatch,
  RecordBatch,
  TxProducer,
} from "../../../src/engine/core/kafka.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import { decodeMetadata, encodeMetadata } from "../../../src/engine/core/task-inputs.ts";
import type { TopicPartition } from "../../../src/engine/core/record.ts";
import { defaultLimits, type WorkerPorts } from "../../../src/engine/runtime/context.ts";
import { Worker } from "../../../src/engine/runtime/worker.ts";
import { memoryCopies } from "../../../src/engine/state/memory-copy.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { RecordingMeter } from "../../../src/engine/testing/doubles/recording-meter.ts";
import { MemoryTables } from "../../../src/engine/testing/memory-tables.ts";
import { raw, things, type Thing } from "../../support/plans.ts";

const [left, right, output] = [things("left", 1), things("right", 1), things("out", 1)];
const flow = pipeline("flow", ({ from }) => {
  from(left).merge("both", from(right)).to(output);
});

const rows: PostgresTable<Thing> = postgresTable<Thing>("rows", {
  row: avro({ type: "record", name: "Row", fields: [{ name: "id", type: "string" }] }),
  key: ["id"],
});
const sink = pipeline("sink", ({ from }) => {
  from(left).upsertInto(rows);
});

interface Sent {
  readonly progress: readonly Progress[];
  readonly generation: GroupGeneration;
}

/** Answers as Kafka would, and lets the test be the group: it calls the handlers itself. */
class ScriptedKafka {
  handlers: ConsumerHandlers | null = null;
  readonly progress: Sent[] = [];
  readonly seeks: string[] = [];
  readonly #sending = Promise.withResolvers<void>();
  isSending = false;

  readonly letGo = (): void => this.#sending.resolve();

  consumer(): GroupConsumer {
    const nothing = (): void => undefined;
    const start = (handlers: ConsumerHandlers): Promise<void> => {
      this.handlers = handlers;
      return Promise.resolve();
    };
    const done = (): Promise<void> => Promise.resolve();
    const seek = ({ topic }: TopicPartition, to: bigint): void =>
      void this.seeks.push(`${topic} ${String(to)}`);
    return {
      isAway: false,
      start,
      pause: nothing,
      resume: nothing,
      seek,
      commit: done,
      rejoin: nothing,
      stop: done,
    };
  }

  txProducer(): TxProducer {
    const done = (): Promise<void> => Promise.resolve();
    const send = (): Promise<readonly SentBatch[]> => {
      this.isSending = true;
      return this.#sending.promise.then(() => []);
    };
    const sendOffsets = (progress: readonly Progress[], generation: GroupGeneration) => {
      this.progress.push({ progress, generation: { ...generation } });
      return Promise.resolve();
    };
    const state = "ready";
    const begin = (): void => undefined;
    return { state, begin, init: done, send, sendOffsets, commit: done, abort: done, close: done };
  }

  producer = () => ({ send: () => Promise.resolve(), close: () => Promise.resolve() });

  reader = () => ({
    read: () => Promise.resolve({ records: [], nextOffset: 9n }),
    close: () => Promise.resolve(),
  });

  admin(): AdminPort {
    const metadata = encodeMetadata({ owner: "millrace-me", ledger: emptyLedger() });
    const admin: Partial<AdminPort> = {
      describeTopics: (topics) => {
        const facts = { id: "t", partitions: 1, replicationFactor: 1, config: {} };
        return Promise.resolve(new Map(topics.map((topic) => [topic, { topic, ...facts }])));
      },
      watermarks: (topic) => Promise.resolve([{ topic, partition: 0, low: 0n, high: 9n }]),
      committed: (_group, partitions) =>
        Promise.resolve(partitions.map((at) => ({ ...at, nextOffset: 0n, metadata }))),
      describeGroup: (group) => Promise.resolve({ group, state: "Empty", members: [] }),
      close: () => Promise.resolve(),
    };
    return admin as AdminPort;
  }
}

const at = (topic: string): TopicPartition => ({ topic, partition: 0 });
const partitions: TopicPartition[] = [left.name, right.name, "flow-redrive"].map(at);
const generationOf = (generationId: number): GroupGeneration => ({
  group: "flow.main",
  generationId,
  memberId: `m${String(generationId)}`,
});

/** One record of a topic. */
const batchOf = (topic: string, generation: GroupGeneration, offset = 0n): RecordBatch => ({
  topic,
  partition: 0,
  generation,
  fetchedOffset: offset,
  records: [raw({ id: "k", n: 1 }, { topic, offset })],
  nextOffset: offset + 1n,
  highWatermark: 9n,
  byteLength: 100,
});

async function assigned(use: Pipeline, partitions: readonly TopicPartition[]) {
  const clock = new FakeClock();
  const kafka = new ScriptedKafka();
  const ports: WorkerPorts = {
    kafka: kafka as unknown as KafkaPort,
    registry: new MemoryRegistry(),
    tableStore: () => new MemoryTables().store(rows),
    checkTables: () => Promise.resolve([]),

    stateCopies: () => memoryCopies(),
    clock,
    random: { next: () => 0.5, token: () => "me" },
    log: new RecordingLog(),
    meter: new RecordingMeter(),
  };
  const worker = new Worker([use.plan()], ports, defaultLimits);
  await worker.start();
  const handlers = kafka.handlers ?? assert.fail("the part has not started");
  const generation = generationOf(1);
  await handlers.onAssigned({ generation, partitions, members: ["millrace-me"] });
  await clock.advance(10);
  return { clock, kafka, handlers, generation, worker };
}

/** One record was read, and the commit that it is part of waits in its second step. */
async function committing() {
  const part = await assigned(flow, partitions);
  part.handlers.onBatch(batchOf("left", part.generation));
  await part.clock.advance(200);
  assert.ok(part.kafka.isSending);
  return part;
}

test("a commit presents the generation under which its records were read, whatever holds when it is sent", async () => {
  const { clock, kafka, handlers, generation } = await committing();
  void handlers.onRevoked(generation, "rebalance");
  const next = { generation: generationOf(2), partitions, members: ["millrace-me"] };
  await handlers.onAssigned(next);
  await clock.advance(10);
  kafka.letGo();
  await clock.advance(10);
  assert.deepEqual(kafka.progress[0]?.generation, generation);
});

test("a commit carries the progress of every partition of a task, also of those that did not move", async () => {
  const { clock, kafka } = await committing();
  kafka.letGo();
  await clock.advance(10);
  const facts = kafka.progress[0]?.progress.map(({ topic, nextOffset, metadata }) => [
    topic,
    nextOffset,
    decodeMetadata(metadata)?.owner,
  ]);
  assert.deepEqual(facts, [
    ["left", 1n, "millrace-me"],
    ["right", 0n, "millrace-me"],
    ["flow-redrive", 0n, "millrace-me"],
  ]);
});

for (const use of [flow, sink])
  test(`${use.name}: a batch that does not follow the last one is fetched again from where it should begin`, async () => {
    const given = use === flow ? partitions : [left.name, "sink-redrive"].map(at);
    const { kafka, handlers, generation } = await assigned(use, given);
    handlers.onBatch(batchOf("left", generation, 0n));
    kafka.seeks.length = 0;
    handlers.onBatch(batchOf("left", generation, 1n));
    assert.deepEqual(kafka.seeks, []);
    handlers.onBatch(batchOf("left", generation, 5n));
    assert.deepEqual(kafka.seeks, ["left 2"]);
  });

for (const [use, given] of [
  [flow, left.name],
  [sink, right.name],
] as const)
  test(`${use.name}: topics that another version of the pipeline gave out are not begun`, async () => {
    const { worker, kafka } = await assigned(use, [{ topic: given, partition: 0 }]);
    const [task] = worker.health();
    assert.equal(task?.state === "stopped" && task.code, "MILL_SOURCE_VERSIONS");
    assert.deepEqual(kafka.seeks, []);
    await worker.stop();
  });
