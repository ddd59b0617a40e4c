// A Kafka cluster in memory: real offsets, transactions with markers, fencing, groups and retention, all in the time of
// a Clock and in microtasks, so the same calls give the same run. Several workers, one port each, share one cluster;
// the other methods are what befalls a cluster and its workers.
import { assert, type BatchError } from "../core/errors.ts";
import { closingPort, type KafkaPort, type TopicSpec } from "../core/kafka.ts";
import type { Clock } from "../core/ports.ts";
import type { GroupId, RawRecord, TopicName, TopicPartition } from "../core/record.ts";
import { STORED_FORMAT } from "../core/stored-format.ts";
import { MemoryAdmin } from "./memory-kafka/admin.ts";
import { Access } from "./memory-kafka/broker/access.ts";
import { Conditions, type KafkaRequest, type Watcher } from "./memory-kafka/broker/conditions.ts";
import { GroupOffsets } from "./memory-kafka/broker/group-offsets.ts";
import { Groups } from "./memory-kafka/broker/groups.ts";
import type { Refuses } from "./memory-kafka/broker/refusals.ts";
import { Topics } from "./memory-kafka/broker/topics.ts";
import { Transactions } from "./memory-kafka/broker/transactions.ts";
import type { Connection } from "./memory-kafka/connection.ts";
import { MemoryConsumer } from "./memory-kafka/consumer.ts";
import { MemoryProducer, MemoryTxProducer } from "./memory-kafka/producers.ts";
import { MemoryReader } from "./memory-kafka/reader.ts";
import { Wire } from "./memory-kafka/wire.ts";
import { WorkerSwitch } from "./doubles/worker-switch.ts";

export class MemoryKafka {
  readonly #conditions: Conditions;
  readonly #topics: Topics;
  readonly #offsets: GroupOffsets = new GroupOffsets();
  readonly #groups: Groups;
  readonly #transactions: Transactions;
  readonly #batchRecordsMax: number;
  readonly #access = new Access();
  readonly #workers = new Map<KafkaPort, WorkerSwitch>();

  /** A batch has at most so many records. */
  constructor(clock: Clock, batchRecordsMax = 500) {
    this.#conditions = new Conditions(clock);
    this.#topics = new Topics(clock);
    this.#groups = new Groups(this.#topics, this.#conditions);
    this.#transactions = new Transactions(this.#topics, this.#offsets, this.#conditions);
    this.#batchRecordsMax = batchRecordsMax;
  }

  /**
   * A connection of one worker; give the worker's switch when its other doubles share it. Another `format` makes it a worker
   * of another release.
   */
  port(worker: WorkerSwitch = new WorkerSwitch(), format: number = STORED_FORMAT): KafkaPort {
    const connection: Connection = {
      wire: new Wire(this.#conditions, worker),
      topics: this.#topics,
      access: this.#access,
      groups: this.#groups,
      offsets: this.#offsets,
      transactions: this.#transactions,
      format,
      batchRecordsMax: this.#batchRecordsMax,
    };
    const port = closingPort({
      consumer: (of) => new MemoryConsumer(of, connection),
      txProducer: (of) => new MemoryTxProducer(of, connection),
      producer: () => new MemoryProducer(connection),
      admin: () => new MemoryAdmin(connection),
      reader: (of) => new MemoryReader(of, connection),
    });
    this.#workers.set(port, worker);
    return port;
  }

  /** The worker ends at once: no leave, no abort. Its sessions and transactions run out on the clock; its calls never end. */
  crash(port: KafkaPort): void {
    this.#workerOf(port).crash();
  }

  /** The worker is frozen; its sessions run out meanwhile. */
  freeze(port: KafkaPort): void {
    this.#workerOf(port).freeze();
  }

  /** The worker goes on, as a zombie until its next heartbeat. */
  thaw(port: KafkaPort): void {
    this.#workerOf(port).thaw();
  }

  /** While away, requests fail with MILL_KAFKA_UNAVAILABLE, nothing is delivered and no session or transaction runs out. */
  setAvailable(isAvailable: boolean): void {
    this.#conditions.setAvailable(isAvailable);
  }

  /** A policy of the brokers: records for which it gives a reason are refused, alone, whatever the topic's settings say. */
  refusing(refuses: Refuses): void {
    this.#topics.refusing(refuses);
  }

  /** As an access list that lets nobody write the topic, until it is set otherwise. */
  forbid(topic: TopicName, isForbidden = true): void {
    this.#topics.forbid(topic, isForbidden);
  }

  /** As an access list that lets nobody read the topic, until it is set otherwise. */
  forbidReading(topic: TopicName, isForbidden = true): void {
    this.#access.forbidTopic(topic, isForbidden);
    this.#conditions.changes.raise();
  }

  /** As an access list that lets nobody be a member of the group, until it is set otherwise. */
  forbidGroup(group: GroupId, isForbidden = true): void {
    this.#access.forbidGroup(group, isForbidden);
    this.#conditions.changes.raise();
  }

  /** As an access list that lets nobody use the transactional id any more. */
  forbidTransactionalId(id: string): void {
    this.#access.forbidTransactionalId(id);
  }

  /** Loses the next request of this kind; with `after`, it takes effect and only its reply is lost. Calls add up. */
  failNext(request: KafkaRequest, options: { readonly after?: boolean } = {}): void {
    this.#conditions.failNext(request, options.after ?? false);
  }

  /** Sees every request before it is sent: to crash at an exact step, or to delay. Replaces the last watcher. */
  watch(watcher: Watcher): void {
    this.#conditions.watch(watcher);
  }

  /**
   * Commits and aborts are decided, but their markers do not reach these partitions until `releaseMarkers`; progress lies
   * in partition 0 of `__consumer_offsets`.
   */
  delayMarkers(isDelayed: (at: TopicPartition) => boolean): void {
    this.#transactions.delayMarkers(isDelayed);
  }

  releaseMarkers(): void {
    this.#transactions.releaseMarkers();
  }

  /** The record at this offset becomes a batch that nobody can read. */
  spoil(at: TopicPartition & { readonly offset: bigint }, code: BatchError["code"]): void {
    this.#topics.log(at).spoil(at.offset, code);
  }

  /**
   * The next batch that any consumer is given begins so many offsets beside where it should: below 0 it was delivered
   * before, in whole or in part; above 0 one is missing. Calls add up.
   */
  misplaceNextBatch(offsets: bigint): void {
    this.#conditions.misplaceNext(offsets);
  }

  /** The log cleaner passes over a compacted topic's partition, below `end`: by the topic's settings, at the clock's time. */
  compact(at: TopicPartition, end: bigint): void {
    this.#topics.compact(at, end);
  }

  /** The first offset of a partition, its last stable offset (the end for committed readers) and its end. */
  offsets(at: TopicPartition): { low: bigint; stable: bigint; high: bigint } {
    const { start, lastStableOffset, highWatermark } = this.#topics.log(at);
    return { low: start, stable: lastStableOffset, high: highWatermark };
  }

  /** Makes every member of the group join again. */
  rebalance(group: GroupId): void {
    this.#groups.rebalance(group);
  }

  /** As when the group's offsets expired or were deleted. */
  forgetProgress(group: GroupId): void {
    this.#offsets.forget(group);
  }

  createTopic(spec: Pick<TopicSpec, "topic" | "partitions"> & Partial<TopicSpec>): void {
    this.#topics.create({ replicationFactor: 1, config: {}, ...spec });
    this.#conditions.changes.raise();
  }

  hasTopic(topic: TopicName): boolean {
    return this.#topics.describe(topic) !== null;
  }

  /** As when somebody adds partitions. */
  widenTopic(topic: TopicName, partitions: number): void {
    this.#topics.widen(topic, partitions);
    this.#conditions.changes.raise();
  }

  /** The topic's records by partition and offset: what a committed reader sees, or all that was ever written and kept. */
  records(topic: TopicName, options: { readonly committed: boolean }): readonly RawRecord[] {
    const all = { recordsMax: Infinity, bytesMax: Infinity };
    return this.#topics
      .logs(topic)
      .flatMap((log) => (options.committed ? log.read(log.start, all).records : log.everything()));
  }

  /** The committed records of one partition from this offset on. */
  recordsFrom(at: TopicPartition, nextOffset: bigint): readonly RawRecord[] {
    const records = this.records(at.topic, { committed: true });
    return records.filter(
      ({ partition, offset }) => partition === at.partition && offset >= nextOffset,
    );
  }

  /** Transactional ids with an open transaction. */
  openTransactions(): readonly string[] {
    return this.#transactions.open();
  }

  #workerOf(port: KafkaPort): WorkerSwitch {
    const worker = this.#workers.get(port);
    assert(worker !== undefined, "the port belongs to another cluster");
    return worker;
  }
}
