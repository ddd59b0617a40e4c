// What an app has made of its records, asked of the servers themselves: committed records of a topic, ledgers, rows. Uses
// clients of its own, so that it sees what any other reader would.
import { setTimeout as delay } from "node:timers/promises";
import { writingCodecs } from "../../src/cli/topic-codecs.ts";
import { readTopic } from "../../src/data/read.ts";
import type { AdminPort } from "../../src/engine/core/kafka.ts";
import type { LedgerCounts } from "../../src/engine/core/ledger.ts";
import type { Plan, PlanTopic } from "../../src/engine/core/plan.ts";
import type { RawRecord } from "../../src/engine/core/record.ts";
import type { Codec } from "../../src/engine/core/schema.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { connect, type Clients } from "../../src/engine/runtime/host/connect.ts";
import { readSettings } from "../../src/engine/runtime/host/settings.ts";
import { ledgerOfPart, readProgress, type TaskProgress } from "../../src/engine/core/progress.ts";
import { SchemaCache } from "../../src/engine/runtime/task/schema-cache.ts";
import { RecordingLog } from "../../src/engine/testing/doubles/recording-log.ts";
import { wallClock } from "./command.ts";

export class AppFigures {
  readonly plan: Plan;
  readonly clients: Clients;
  readonly admin: AdminPort;
  #closed: Promise<void> | null = null;

  constructor(plan: Plan, env: Readonly<Record<string, string | undefined>>) {
    this.plan = plan;
    this.clients = connect(readSettings(env), { log: new RecordingLog(), deadlineMs: 60_000 });
    this.admin = this.clients.kafka.admin();
  }

  /** Once, however often it is asked. */
  close(): Promise<void> {
    this.#closed ??= this.clients.close();
    return this.#closed;
  }

  /** Committed records, partition after partition in order of offset. */
  async raw(topic: string): Promise<RawRecord[]> {
    const request = {
      topic,
      partition: null,
      from: { kind: "earliest" },
      isFollowing: false,
    } as const;
    const records: RawRecord[] = [];
    for await (const batch of readTopic(this.clients.kafka, request))
      for (const record of batch) records.push(record);
    return records.sort((a, b) => a.partition - b.partition || Number(a.offset - b.offset));
  }

  /** The same as values, decoded by the declaration of `topic`. */
  async values<V>(topic: string, records?: readonly RawRecord[]): Promise<V[]> {
    const all = records ?? (await this.raw(topic));
    const schemas = new SchemaCache(this.clients.registry, wallClock);
    const codec = this.#codec(topic, schemas);
    const ids = all.flatMap(({ value }) => codec.unknownId(value) ?? []);
    await schemas.learn(new Set(ids));
    return all.map(({ value }) => codec.decode(value) as V);
  }

  /** Values of a declared topic to bytes, under the registered id of its schema. */
  async encoder(name: string): Promise<(value: unknown) => Buffer> {
    const topic = this.#topic(name);
    const { value } = await writingCodecs(topic, this.clients.registry);
    return (one) => value.encode(one) as Buffer;
  }

  #topic(name: string): PlanTopic {
    return this.plan.topics.all.find((one) => one.name === name) as PlanTopic;
  }

  #codec(name: string, schemas: SchemaCache): Codec {
    return compileCodec(this.#topic(name).value, { schemas, writerId: null });
  }

  progress(): Promise<TaskProgress[]> {
    return readProgress(this.plan, { admin: this.admin, tableStore: this.clients.tableStore });
  }

  async ledger(part: string): Promise<LedgerCounts> {
    return ledgerOfPart(await this.progress(), part);
  }

  /** The sum of the ends of a topic's partitions. */
  async end(topic: string): Promise<bigint> {
    return (await this.admin.watermarks(topic)).reduce((sum, { high }) => sum + high, 0n);
  }

  /** Until every task has decided the end of its topics. */
  async drained(withinMs = 90_000): Promise<void> {
    const giveUpAt = Date.now() + withinMs;
    for (;;) {
      const behind = await this.#behind();
      if (behind.length === 0) return;
      if (Date.now() > giveUpAt) throw new Error(`still behind: ${behind.join(", ")}`);
      await delay(200);
    }
  }

  async #behind(): Promise<string[]> {
    const progress = await this.progress();
    const topics = [...new Set(progress.map(({ topic }) => topic))];
    const ends = (await Promise.all(topics.map((topic) => this.admin.watermarks(topic)))).flat();
    return progress
      .filter(({ topic, partition, nextOffset }) => {
        const end = ends.find((at) => at.topic === topic && at.partition === partition);
        return nextOffset === null || nextOffset < (end?.high ?? 0n);
      })
      .map(({ part, topic, partition }) => `${part} ${topic}-${String(partition)}`);
  }
}
