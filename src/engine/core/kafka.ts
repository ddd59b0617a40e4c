// The Kafka port: all that the engine asks of a Kafka client. No client's type leaks through it.
// Implementations: clients/kafkajs (real), testing/memory-kafka (in memory). The same contract suite tests both.
import type { BatchError, MillraceError } from "./errors.ts";
import type { ClockReading } from "./ports.ts";
import type { GroupId, OutRecord, RawRecord, TopicName, TopicPartition } from "./record.ts";

export interface KafkaPort {
  consumer(options: ConsumerOptions): GroupConsumer;
  txProducer(options: TxProducerOptions): TxProducer;
  producer(): PlainProducer;
  admin(): AdminPort;
  /** Reads one partition without a group, committed records only, in offset order. */
  reader(options: ReaderOptions): PartitionReader;
  /** Closes every client that was made here. */
  close(): Promise<void>;
}

/** A port over makers of clients: closing it closes every client that it has made. */
export function closingPort(make: Omit<KafkaPort, "close">): KafkaPort {
  const open: (() => Promise<void>)[] = [];
  const closing = <T extends { close(): Promise<void> }>(client: T): T => {
    open.push(() => client.close());
    return client;
  };
  return {
    consumer: (options) => {
      const consumer = make.consumer(options);
      open.push(() => consumer.stop());
      return consumer;
    },
    txProducer: (options) => closing(make.txProducer(options)),
    producer: () => closing(make.producer()),
    admin: () => closing(make.admin()),
    reader: (options) => closing(make.reader(options)),
    close: async () => {
      await Promise.all(open.map((close) => close()));
      open.length = 0;
    },
  };
}

/** The partitions that the group gives to a member; all partitions of one task move together. */
export interface Assignment {
  readonly generation: GroupGeneration;
  readonly partitions: readonly TopicPartition[];
  /** Identities (`ConsumerOptions.identity`) of every member present in this generation. */
  readonly members: readonly string[];
}

/** Captured when a batch is read; presented, never looked up again, when progress is committed. */
export interface GroupGeneration {
  readonly group: GroupId;
  readonly generationId: number;
  readonly memberId: string;
}

export interface ConsumerOptions {
  readonly group: GroupId;
  /** Co-partitioned: partition i of every topic goes to the same member. */
  readonly topics: readonly TopicName[];
  /**
   * Partition i of these goes to who has partition i of `topics`; those beyond are read by nobody. One that does not exist
   * has no partitions: whoever sees that it does by now asks for it by `rejoin`.
   */
  readonly beside?: readonly TopicName[];
  /** Sent to the other members at each join: the transactional id of this worker. */
  readonly identity: string;
  readonly maxBytes: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
}

export interface GroupConsumer {
  /** Whether the group's coordinator has left several requests unanswered; for an operator, nothing is decided by it. */
  readonly isAway: boolean;
  /**
   * Joins and runs until `stop`. Resolves once the first join was attempted, rejects when it is refused; later refusals arrive
   * at `onRefused`.
   */
  start(handlers: ConsumerHandlers): Promise<void>;
  /** Idempotent. Buffered batches of a paused partition may still arrive. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** The next batch of the partition starts here (`RecordBatch.fetchedOffset`). */
  seek(partition: TopicPartition, nextOffset: bigint): void;
  /** Commits outside a transaction (sink hints, at-least-once). Throws FencedError when the generation is old. */
  commit(progress: readonly Progress[], generation: GroupGeneration): Promise<void>;
  /** Has the group assign its topics anew, as they are now: a rebalance, also for the other members. */
  rejoin(): void;
  /** Leaves the group and closes. Calls `onRevoked` with reason "close" first. */
  stop(): Promise<void>;
}

export interface ConsumerHandlers {
  /** Awaited before the first fetch of these partitions; each is paused until `seek` and `resume`. */
  onAssigned(assignment: Assignment): Promise<void>;
  /** Awaited before the group is joined again; nothing read under the old generation is delivered after it. */
  onRevoked(generation: GroupGeneration | null, why: "rebalance" | "close"): Promise<void>;
  /** Hand-over only: must return at once. */
  onBatch(batch: RecordBatch): void;
  /**
   * The end of the partition for committed readers, and what the records say of when they were appended; called by every
   * fetch, also one without records, before its batch. For lag.
   */
  onEnd?(at: TopicPartition, lastStableOffset: bigint, marks: readonly AppendMark[]): void;
  /** Left out where nobody asks. */
  readonly quiet?: QuietHandler;
  /** The partition's next offset is outside its log; nothing of it is delivered until `seek`. */
  onOutOfRange(partition: TopicPartition): void;
  /** The next batch of the partition can never be read; nothing of it is delivered until `seek`. All before it was. */
  onUnreadable(partition: TopicPartition, error: BatchError): void;
  /**
   * Kafka refuses reads of the partition, or membership of the group (`at` is null): a right is missing, or the topic is. The
   * consumer asks again by itself, later and later; `error` is null when it is let again. A new generation begins without
   * refusals.
   */
  onRefused(at: TopicPartition | null, error: MillraceError | null): void;
  /** The consumer has ended and will not recover by itself. */
  onFatal(error: Error): void;
}

/** For idleness: fetches that find nothing. */
export interface QuietHandler {
  /** Asked before a fetch is sent. */
  reading(): ClockReading;
  /**
   * Nothing is behind the consumer's position, which was the end of the partition, for readers of uncommitted records too,
   * when a fetch that was sent at `sent` was answered. Called by each such fetch.
   */
  seen(at: TopicPartition, highWatermark: bigint, sent: ClockReading): void;
}

export interface StartOffset extends TopicPartition {
  readonly nextOffset: bigint;
}

/**
 * When the log had everything below `nextOffset`. `broker`: by the clock of a broker, in a topic with LogAppendTime or by
 * the marker of a transaction · `producer`: as the producer of a batch says, which may be event time.
 */
export interface AppendMark {
  readonly nextOffset: bigint;
  readonly timeMs: number;
  readonly by: "broker" | "producer";
}

/** Consecutive records, and the offset after them: past control and aborted records. */
export interface RangeRead {
  readonly records: readonly RawRecord[];
  readonly nextOffset: bigint;
}

/** Its `nextOffset` is the one to commit when the batch is done. */
export interface RecordBatch extends TopicPartition, RangeRead {
  readonly generation: GroupGeneration;
  /** The offset at which this fetch began: a batch is in sequence only if this equals the last batch's nextOffset. */
  readonly fetchedOffset: bigint;
  readonly highWatermark: bigint;
  readonly byteLength: number;
}

/** An offset to commit with what travels beside it (at most 4,096 bytes). */
export interface Progress extends TopicPartition {
  readonly nextOffset: bigint;
  readonly metadata: string;
}

export interface TxProducerOptions {
  readonly transactionalId: string;
  readonly timeoutMs: number;
}

/**
 * A producer of one transaction at a time. Any failure makes it "dead": throw it away and make a
 * new one with the same id. After a refusal of records (RecordsRefusedError), and only then, it may
 * be brought back by `abort`, which ends what it had sent.
 */
export interface TxProducer {
  readonly state: "new" | "ready" | "open" | "dead";
  /** InitProducerId: fences older producers of this id and ends their open transaction. */
  init(): Promise<void>;
  begin(): void;
  /** Returns when every record is acknowledged, with the offsets; throws if any was not covered. */
  send(records: readonly OutRecord[]): Promise<readonly SentBatch[]>;
  /** Throws FencedError when the generation is old (errors 22, 25, 82). */
  sendOffsets(progress: readonly Progress[], generation: GroupGeneration): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
  close(): Promise<void>;
}

/** The next `count` records sent to the partition: batches of one send are in the order of its records. */
export interface SentBatch extends TopicPartition {
  readonly count: number;
  /** Offset of the first; null when the broker knew the batch already and had forgotten where. */
  readonly baseOffset: bigint | null;
  /** When the broker appended it, epoch ms; null in topics with CreateTime. */
  readonly appendTimeMs: number | null;
}

/** Idempotent, outside transactions; explicit partitions. */
export interface PlainProducer {
  send(records: readonly OutRecord[]): Promise<void>;
  close(): Promise<void>;
}

export interface ReaderOptions extends TopicPartition {
  readonly fromOffset: bigint;
  readonly maxBytes?: number;
  readonly maxWaitMs?: number;
}

/** The next committed records, possibly none. */
export interface PartitionRead extends RangeRead {
  /** The times at which they were appended, in the order of offsets. */
  readonly marks?: readonly AppendMark[];
  readonly highWatermark: bigint;
  readonly lastStableOffset: bigint;
}

export interface PartitionReader {
  read(): Promise<PartitionRead>;
  close(): Promise<void>;
}

export interface CommittedOffset extends TopicPartition {
  /** Null when the group has none for this partition, or had it taken away: what is committed as -1 is none. */
  readonly nextOffset: bigint | null;
  readonly metadata: string;
}

export interface Watermarks extends TopicPartition {
  readonly low: bigint;
  readonly high: bigint;
}

export interface TopicDescription extends TopicSpec {
  /** Another one when the topic was deleted and made anew (KIP-516). */
  readonly id: string;
  /** The source of each of them, where that is known. */
  readonly sources?: Readonly<Record<string, ConfigSource>>;
}

/** Somebody, for this topic · somebody, for the brokers · nobody: Kafka's own default. */
export type ConfigSource = "topic" | "broker" | "default";

export interface TopicSpec {
  readonly topic: TopicName;
  readonly partitions: number;
  /** -1 takes the broker's default. */
  readonly replicationFactor: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface GroupMember {
  readonly memberId: string;
  readonly host: string;
  /** The topics that it reads; null while the group rebalances and does not say. */
  readonly topics: readonly TopicName[] | null;
  /** The version of the bytes that a worker stores (stored-format.ts); null for other clients, and while it is not said. */
  readonly format: number | null;
}

export interface GroupDescription {
  readonly group: GroupId;
  readonly state: string;
  readonly members: readonly GroupMember[];
}

export interface CommittedOptions {
  /** Whether to wait for transactions that have progress of these partitions. */
  readonly stable: boolean;
  /**
   * The reader's membership: the answer is as new as its generation, or a FencedError (MILL_KAFKA_FENCED) says that the group
   * has gone on without it.
   */
  readonly member?: GroupGeneration;
}

export interface AdminPort {
  /** Null for a topic that does not exist. */
  describeTopics(
    topics: readonly TopicName[],
  ): Promise<ReadonlyMap<TopicName, TopicDescription | null>>;
  listTopics(): Promise<readonly TopicName[]>;
  createTopics(topics: readonly TopicSpec[]): Promise<void>;
  /** Until there are so many; nothing where there are as many or more. */
  addPartitions(topic: TopicName, partitions: number): Promise<void>;
  alterTopicConfig(topic: TopicName, config: Readonly<Record<string, string>>): Promise<void>;
  deleteTopics(topics: readonly TopicName[]): Promise<void>;
  watermarks(topic: TopicName): Promise<readonly Watermarks[]>;
  /** The last stable offsets, in the order of `partitions`: the ends for committed readers. */
  stableEnds(partitions: readonly TopicPartition[]): Promise<readonly StartOffset[]>;
  /** The first offset with a timestamp at or after `timestampMs`, or the high watermark. */
  offsetsByTime(topic: TopicName, timestampMs: number): Promise<readonly StartOffset[]>;
  /** With `stable`, waits until no offset of the group is pending in an open transaction (OffsetFetch requireStable, KIP-447). */
  committed(
    group: GroupId,
    partitions: readonly TopicPartition[],
    options: CommittedOptions,
  ): Promise<readonly CommittedOffset[]>;
  /** Sets progress of a group that has no members; throws FencedError (MILL_KAFKA_FENCED) when it has some. */
  commitOffsets(group: GroupId, progress: readonly Progress[]): Promise<void>;
  /** Deletes records below `nextOffset`. */
  deleteRecords(below: readonly StartOffset[]): Promise<void>;
  listGroups(): Promise<readonly GroupId[]>;
  describeGroup(group: GroupId): Promise<GroupDescription>;
  close(): Promise<void>;
}
