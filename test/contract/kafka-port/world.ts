// What every case of the Kafka suite needs: names of its own, topics, records, a consumer that keeps what it was handed,
// and waits that pass real or virtual time.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type {
  ConsumerHandlers,
  Assignment,
  GroupConsumer,
  GroupGeneration,
  KafkaPort,
  PartitionReader,
  RecordBatch,
  StartOffset,
  TxProducer,
} from "../../../src/engine/core/kafka.ts";
import {
  addressOf,
  type Headers,
  type OutRecord,
  type RawRecord,
} from "../../../src/engine/core/record.ts";

/** One Kafka cluster and how its time passes. */
export interface KafkaUnderTest {
  /** A new port each time: one worker each. */
  port(): KafkaPort;
  /** Moves virtual time; absent where time is real. */
  clockAdvance?(ms: number): Promise<void>;
  close(): Promise<void>;
}

type ReadResult = Awaited<ReturnType<PartitionReader["read"]>>;

export class World {
  readonly #kafka: KafkaUnderTest;
  readonly #id = randomUUID().slice(0, 8);
  readonly #consumers: GroupConsumer[] = [];
  readonly #ports: KafkaPort[] = [];
  #count = 0;

  constructor(kafka: KafkaUnderTest) {
    this.#kafka = kafka;
  }

  name(what: string): string {
    return `contract-${this.#id}-${what}-${String(++this.#count)}`;
  }

  port(): KafkaPort {
    const port = this.#kafka.port();
    this.#ports.push(port);
    return port;
  }

  async topic(partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = this.name("topic");
    const admin = this.port().admin();
    await admin.createTopics([{ topic, partitions, replicationFactor: -1, config }]);
    await this.eventually(async () => {
      const described = await admin.describeTopics([topic]);
      assert.equal(described.get(topic)?.partitions, partitions);
    });
    return topic;
  }

  /** A producer whose transaction is open. */
  async transaction(options: { id?: string; timeoutMs?: number } = {}): Promise<TxProducer> {
    const transactionalId = options.id ?? this.name("tx");
    const timeoutMs = options.timeoutMs ?? 60_000;
    const producer = this.port().txProducer({ transactionalId, timeoutMs });
    await producer.init();
    producer.begin();
    return producer;
  }

  async produce(records: readonly OutRecord[]): Promise<void> {
    await this.port().producer().send(records);
  }

  /** A member of a group; its consumer stops with the world. */
  member(group: string, topics: readonly string[], options: MemberOptions = {}): Member {
    const port = options.port ?? this.port();
    const consumer = port.consumer({
      group,
      topics,
      ...(options.beside === undefined ? {} : { beside: options.beside }),
      identity: options.identity ?? this.name("member"),
      maxBytes: 1_048_576,
      sessionTimeoutMs: 6_000,
      heartbeatIntervalMs: 200,
      rebalanceTimeoutMs: 10_000,
    });
    this.#consumers.push(consumer);
    return new Member(consumer, options);
  }

  /** Tries until it passes; time passes between tries. */
  async eventually(check: () => void | Promise<void>, limitMs = 20_000): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += 50) {
      try {
        return await check();
      } catch (error) {
        if (waitedMs >= limitMs) throw error;
      }
      await this.passTime(50);
    }
  }

  /** For what waits by itself: moves virtual time, and does nothing where time is real. */
  async passVirtualTime(ms: number): Promise<void> {
    await this.#kafka.clockAdvance?.(ms);
  }

  /** Long enough for what must not happen. */
  async passTime(ms: number): Promise<void> {
    if (this.#kafka.clockAdvance !== undefined) await this.#kafka.clockAdvance(ms);
    else await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Everything up to an offset, with the marks of the last read. */
  async readUntil(reader: PartitionReader, nextOffset: bigint): Promise<ReadResult> {
    const records: RawRecord[] = [];
    for (let reads = 0; reads < 100; reads++) {
      const [read] = await Promise.all([reader.read(), this.passVirtualTime(1_000)]);
      records.push(...read.records);
      if (read.nextOffset >= nextOffset) return { ...read, records };
    }
    throw new assert.AssertionError({ message: `read no further than ${String(records.length)}` });
  }

  /** What a committed reader finds in partition 0 below `nextOffset`. */
  async valuesBelow(topic: string, nextOffset: bigint): Promise<readonly (string | null)[]> {
    const reader = this.port().reader({ topic, partition: 0, fromOffset: 0n, maxWaitMs: 100 });
    const { records } = await this.readUntil(reader, nextOffset);
    return records.map(valueOf);
  }

  async close(): Promise<void> {
    await Promise.all(this.#consumers.map((consumer) => consumer.stop()));
    await Promise.all(this.#ports.map((port) => port.close()));
    await this.#kafka.close();
  }
}

export interface MemberOptions {
  readonly port?: KafkaPort;
  readonly identity?: string;
  /** Topics that are read beside those of the group. */
  readonly beside?: readonly string[];
  /** Where partitions begin; by default at 0. */
  starts?(assignment: Assignment): readonly StartOffset[] | Promise<readonly StartOffset[]>;
  /** Awaited inside onRevoked. */
  revoking?(): Promise<void>;
  /** False: it does not want to know of fetches that find nothing. */
  readonly asksQuiet?: false;
}

/** What happened to a consumer, in order. */
export type Happening =
  | {
      readonly kind: "assigned";
      readonly generationId: number;
      readonly partitions: readonly string[];
    }
  | { readonly kind: "revoking" | "revoked"; readonly generationId: number | null }
  | { readonly kind: "batch"; readonly generationId: number; readonly batch: RecordBatch };

export class Member {
  readonly consumer: GroupConsumer;
  readonly happenings: Happening[] = [];
  readonly outOfRange: string[] = [];
  readonly unreadable: { readonly at: string; readonly error: Error }[] = [];
  readonly fatal: Error[] = [];
  /** The ends of the log that fetches have shown, by partition. */
  readonly ends = new Map<number, bigint>();
  /** The newest fetch of each partition that has found nothing: when it was sent, and the end of the log. */
  readonly quiet = new Map<number, { readonly end: bigint; readonly sentMs: number }>();
  /** Counts on, so that it is known which fetch was sent behind what. */
  #now = 0;
  readonly #options: MemberOptions;
  #assignment: Assignment | null = null;

  constructor(consumer: GroupConsumer, options: MemberOptions) {
    this.consumer = consumer;
    this.#options = options;
  }

  start(): Promise<void> {
    return this.consumer.start({
      onAssigned: (assignment) => this.#assigned(assignment),
      onRevoked: (generation) => this.#revoked(generation),
      onBatch: (batch) => {
        const { generationId } = batch.generation;
        this.happenings.push({ kind: "batch", generationId, batch });
      },
      onEnd: ({ partition }, end) => void this.ends.set(partition, end),
      ...(this.#options.asksQuiet === false ? {} : { quiet: this.#quietHandler }),
      onOutOfRange: (at) => void this.outOfRange.push(addressOf(at)),
      onUnreadable: (at, error) => void this.unreadable.push({ at: addressOf(at), error }),
      onRefused: () => undefined,
      onFatal: (error) => void this.fatal.push(error),
    });
  }

  readonly #quietHandler: NonNullable<ConsumerHandlers["quiet"]> = {
    reading: () => ({ wallMs: ++this.#now, monotonicMs: this.#now }),
    seen: ({ partition }, end, { wallMs: sentMs }) =>
      void this.quiet.set(partition, { end, sentMs }),
  };

  get assignment(): Assignment {
    assert.ok(this.#assignment !== null, "has an assignment");
    return this.#assignment;
  }

  /** Partition indexes, each once, ascending. */
  get indexes(): readonly number[] {
    const partitions = this.#assignment?.partitions ?? [];
    return [...new Set(partitions.map((at) => at.partition))].sort((a, b) => a - b);
  }

  get batches(): readonly RecordBatch[] {
    return this.happenings.flatMap((one) => (one.kind === "batch" ? [one.batch] : []));
  }

  get values(): readonly (string | null)[] {
    return this.batches.flatMap((batch) => batch.records).map(valueOf);
  }

  /** Where the last batch of the partition ended. */
  nextOffset(partition: number): bigint | null {
    return this.batches.findLast((batch) => batch.partition === partition)?.nextOffset ?? null;
  }

  /** Where this assignment stands in the partition: what it was handed last, or else where it began. */
  nextOffsetNow(partition: number): bigint | null {
    const since = this.happenings.findLastIndex((one) => one.kind === "assigned");
    const batches = this.happenings.slice(since).flatMap((one) => {
      return one.kind === "batch" && one.batch.partition === partition ? [one.batch] : [];
    });
    return batches.at(-1)?.nextOffset ?? null;
  }

  async #assigned(assignment: Assignment): Promise<void> {
    this.#assignment = assignment;
    this.happenings.push({
      kind: "assigned",
      generationId: assignment.generation.generationId,
      partitions: assignment.partitions.map(addressOf),
    });
    const fromZero = assignment.partitions.map((at) => ({ ...at, nextOffset: 0n }));
    const starts = (await this.#options.starts?.(assignment)) ?? fromZero;
    for (const start of starts) this.consumer.seek(start, start.nextOffset);
    this.consumer.resume(starts);
  }

  async #revoked(generation: GroupGeneration | null): Promise<void> {
    const generationId = generation?.generationId ?? null;
    this.happenings.push({ kind: "revoking", generationId });
    await this.#options.revoking?.();
    this.#assignment = null;
    this.happenings.push({ kind: "revoked", generationId });
  }
}

export const valueOf = (record: { readonly value: Buffer | null }): string | null =>
  record.value?.toString("utf8") ?? null;

/** Recent, so that no retention takes the records away. */
export const NOON: number = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;

/** A record to write; texts are UTF-8. */
export function aRecord(
  topic: string,
  value: string | null,
  more: { partition?: number; key?: Buffer | null; headers?: Headers; timestamp?: number } = {},
): OutRecord {
  return {
    topic,
    partition: more.partition ?? 0,
    key: more.key ?? null,
    value: value === null ? null : Buffer.from(value),
    headers: more.headers ?? [],
    timestamp: more.timestamp ?? NOON,
  };
}

export const someRecords = (topic: string, values: readonly string[]): readonly OutRecord[] =>
  values.map((value) => aRecord(topic, value));

/** A condition for assert.rejects: an error of ours with this code. */
export const throwsCode =
  (...codes: readonly string[]) =>
  (error: unknown): boolean => {
    assert.ok(codes.includes((error as { code?: string }).code ?? ""), String(error));
    return true;
  };
