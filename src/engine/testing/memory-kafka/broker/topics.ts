// The topics of the cluster in memory: their partitions, settings and life.
import {
  assert,
  MillraceError,
  RecordsRefusedError,
  type RefusedRecord,
} from "../../../core/errors.ts";
import type { ConfigSource, TopicDescription, TopicSpec } from "../../../core/kafka.ts";
import type { Clock } from "../../../core/ports.ts";
import type { OutRecord, TopicName, TopicPartition } from "../../../core/record.ts";
import { PartitionLog, type Transaction } from "./partition-log.ts";
import { reasonOf, type Refuses } from "./refusals.ts";

interface StoredTopic {
  readonly id: string;
  readonly logs: PartitionLog[];
  readonly replicationFactor: number;
  readonly config: Record<string, string>;
  /** Settings that somebody has made for it. */
  readonly own: Set<string>;
}

/**
 * The defaults of a broker that anybody here looks at. Times of records are their own, as with
 * brokers before 4.0, since those of a test have nothing to do with its clock.
 */
const DEFAULTS: Readonly<Record<string, string>> = {
  "cleanup.policy": "delete",
  "delete.retention.ms": "86400000",
  "max.message.bytes": "1048588",
  "message.timestamp.after.max.ms": "9223372036854775807",
  "message.timestamp.before.max.ms": "9223372036854775807",
  "message.timestamp.type": "CreateTime",
  "retention.ms": "604800000",
};

export class Topics {
  readonly #topics = new Map<TopicName, StoredTopic>();
  readonly #clock: Clock;
  #made = 0;
  #refuses: Refuses = () => null;
  readonly #forbidden = new Set<TopicName>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A policy of the brokers, beside what topics' settings forbid. */
  refusing(refuses: Refuses): void {
    this.#refuses = refuses;
  }

  names(): readonly TopicName[] {
    return [...this.#topics.keys()].sort();
  }

  describe(topic: TopicName): TopicDescription | null {
    const stored = this.#topics.get(topic);
    if (stored === undefined) return null;
    const { id, logs, replicationFactor, config, own } = stored;
    const sourceOf = (name: string): ConfigSource => (own.has(name) ? "topic" : "default");
    const sources = Object.fromEntries(Object.keys(config).map((name) => [name, sourceOf(name)]));
    const settings = { config: { ...config }, sources };
    return { topic, id, partitions: logs.length, replicationFactor, ...settings };
  }

  /** Does nothing for a topic that exists. */
  create(spec: TopicSpec): void {
    if (this.#topics.has(spec.topic)) return;
    const logs = Array.from(
      { length: spec.partitions },
      (_, partition) => new PartitionLog({ topic: spec.topic, partition }),
    );
    const replicationFactor = spec.replicationFactor === -1 ? 1 : spec.replicationFactor;
    const config = { ...DEFAULTS, ...spec.config };
    const id = `topic-${String(++this.#made)}`;
    const own = new Set(Object.keys(spec.config));
    this.#topics.set(spec.topic, { id, logs, replicationFactor, config, own });
  }

  /** Adds partitions until there are so many. */
  widen(topic: TopicName, partitions: number): void {
    const { logs } = this.#stored(topic);
    while (logs.length < partitions) logs.push(new PartitionLog({ topic, partition: logs.length }));
  }

  alter(topic: TopicName, config: Readonly<Record<string, string>>): void {
    const stored = this.#stored(topic);
    Object.assign(stored.config, config);
    for (const name of Object.keys(config)) stored.own.add(name);
  }

  compact(at: TopicPartition, end: bigint): void {
    const { config } = this.#stored(at.topic);
    assert(config["cleanup.policy"] === "compact", "only a compacted topic is compacted");
    const keptMs = Number(config["delete.retention.ms"]);
    this.log(at).compact(end, this.#clock.now() - keptMs);
  }

  delete(topic: TopicName): void {
    this.#topics.delete(topic);
  }

  logs(topic: TopicName): readonly PartitionLog[] {
    return this.#stored(topic).logs;
  }

  log(at: TopicPartition): PartitionLog {
    const { topic, partition } = at;
    const found = this.logs(topic)[partition];
    if (found !== undefined) return found;
    throw new MillraceError("MILL_TOPIC_PARTITIONS", "there is no such partition", {
      where: { topic, partition },
    });
  }

  /** As an access list does. */
  forbid(topic: TopicName, isForbidden: boolean): void {
    this.#forbidden[isForbidden ? "add" : "delete"](topic);
  }

  /** Writes what its topic takes; what is refused is among the answer, and delays no other record. */
  append(records: readonly OutRecord[], transaction: Transaction | null): Appended {
    const forbidden = records.find(({ topic }) => this.#forbidden.has(topic))?.topic;
    if (forbidden !== undefined) throw withoutRight(forbidden);
    const logs = records.map((record) => this.log(record));
    const counts = new Map<PartitionLog, number>();
    const refused: RefusedRecord[] = [];
    logs.forEach((log, index) => {
      const record = records[index] as OutRecord;
      const { topic, partition } = record;
      const reason = this.#reasonOf(record);
      if (reason !== null) return void refused.push({ index, topic, partition, ...reason });
      const appendMs = this.appendTimeMs(topic);
      const timestamp = appendMs ?? record.timestamp;
      log.append({ ...record, timestamp }, transaction, appendMs === null ? "producer" : "broker");
      counts.set(log, (counts.get(log) ?? 0) + 1);
    });
    return { counts, refused };
  }

  /** Now, in topics whose records carry the time at which they were appended. */
  appendTimeMs(topic: TopicName): number | null {
    const isAppendTime = this.#stored(topic).config["message.timestamp.type"] === "LogAppendTime";
    return isAppendTime ? this.#clock.now() : null;
  }

  #reasonOf(record: OutRecord): ReturnType<Refuses> {
    const { config } = this.#stored(record.topic);
    return this.#refuses(record) ?? reasonOf(record, config, this.#clock.now());
  }

  #stored(topic: TopicName): StoredTopic {
    const stored = this.#topics.get(topic);
    if (stored !== undefined) return stored;
    throw new MillraceError("MILL_TOPIC_MISSING", topic, { where: { topic } });
  }
}

const withoutRight = (topic: TopicName): MillraceError =>
  new MillraceError(
    "MILL_KAFKA_AUTH",
    `send to ${topic}: TOPIC_AUTHORIZATION_FAILED (the topic ${topic} needs the right Write; for the grants: npx millrace acls)`,
    { where: { topic } },
  );

/** The number of records that each log got, and the records that none took. */
export interface Appended {
  readonly counts: ReadonlyMap<PartitionLog, number>;
  readonly refused: readonly RefusedRecord[];
}

/** As a client throws when all others are written. */
export function throwRefused(refused: readonly RefusedRecord[]): void {
  if (refused.length > 0)
    throw new RecordsRefusedError(refused as [RefusedRecord, ...RefusedRecord[]]);
}
