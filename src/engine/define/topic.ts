// topic(): a topic as a value. Importing it creates nothing; `millrace topics apply` does.
import { DEFAULT_TIME_RULE, type InvalidTimestamp } from "../core/event-time.ts";
import type { Decoder, Encoder, Schema } from "../core/schema.ts";
import type { TopicName } from "../core/record.ts";
import type { Duration } from "../core/span.ts";

/** A topic with typed keys and values. */
export interface Topic<K, V> {
  readonly kind: "topic";
  readonly name: TopicName;
  readonly key: Schema<K>;
  readonly value: Schema<V>;
  /** Null: as many as the setting MILLRACE_TOPIC_PARTITIONS says. A plan has the number. */
  readonly partitions: number | null;
  readonly owner: string;
  readonly description: string | null;
  /** Null: not declared, so a topic that is there keeps what it has. */
  readonly retention: Duration | "forever" | null;
  readonly compacted: boolean | null;
  readonly config: Readonly<Record<string, string>>;
  /** Its owner makes it and changes it; nothing of it is changed from here. */
  readonly external: boolean;
  /** Paths of fields that are personal data, nested as "address.street". */
  readonly personalData: readonly string[];
  /** Null: as its fields are. */
  readonly personalKey: boolean | null;
  /** Event time of a value, epoch ms; null takes Kafka's timestamp. */
  readonly timestamp: ((value: never) => number | null | undefined) | null;
  /** The farthest that a time from a value may be ahead of the record's Kafka timestamp. */
  readonly futureMax: Duration;
  readonly invalidTimestamp: InvalidTimestamp;
  /** The time without records after which windows no longer wait for a partition; null: the default of its use. */
  readonly idleAfter: Duration | "never" | null;
  /** The name of the Millrace pipeline that writes it; null for any other writer. */
  readonly writtenBy: string | null;
}

/** A topic from which records with these keys and values may be read. */
export interface TopicSource<K, V> extends Omit<Topic<unknown, unknown>, "key" | "value"> {
  readonly key: { readonly format: Schema<K>["format"]; readonly reads: Decoder<K> };
  readonly value: { readonly format: Schema<V>["format"]; readonly reads: Decoder<V> };
}
/** A topic to which records with these keys and values may be written. */
export interface TopicTarget<K, V> extends Omit<Topic<unknown, unknown>, "key" | "value"> {
  readonly key: { readonly format: Schema<K>["format"]; readonly writes: Encoder<K> };
  readonly value: { readonly format: Schema<V>["format"]; readonly writes: Encoder<V> };
}

/** Paths of the fields of T, nested ones as "a.b", those of a list's items as those of the list. */
type FieldPath<T> = T extends Uint8Array | ((...args: never[]) => unknown)
  ? never
  : T extends readonly (infer E)[]
    ? FieldPath<E>
    : T extends object
      ? { [F in keyof T & string]: F | `${F}.${FieldPath<NonNullable<T[F]>>}` }[keyof T & string]
      : never;

export interface TopicOptions<K, V> {
  readonly key: Schema<K>;
  readonly value: Schema<V>;
  /**
   * Default: as many as the setting MILLRACE_TOPIC_PARTITIONS says, or 4. Topics whose streams meet need equal numbers.
   * @example
   * topic("orders", { key: string, value: order, partitions: 12, owner: "team-orders" });
   */
  readonly partitions?: number;
  /** The team that answers for the data. */
  readonly owner: string;
  readonly description?: string;
  /** Left out, a topic that is there keeps the retention that it has, and one that is made gets 7 days. */
  readonly retention?: Duration | "forever";
  /** Left out, a topic that is there keeps its `cleanup.policy`, and one that is made gets `delete`. */
  readonly compacted?: boolean;
  /** Settings as Kafka names them. One that is not declared is never changed. */
  readonly config?: Readonly<Record<string, string>>;
  /**
   * The topic is another team's: `topics plan` and `apply` check that it is there, has as many partitions as declared and a
   * schema that can be read. They never make or change it, and register no schema of it.
   * @example
   * topic("clicks", { key: string, value: click, partitions: 12, owner: "team-web", external: true });
   */
  readonly external?: boolean;
  /**
   * Fields that are personal data, or "*" for the value as a whole. What shows records masks them.
   * @example
   * personalData: ["name", "address.street", "lines.giftFor"]
   */
  readonly personalData?: readonly (FieldPath<V> | "*")[];
  /** Whether the key is personal data too. Left out, it is where any field is: say false of a key that names nobody. */
  readonly personalKey?: boolean;
  /**
   * Event time of a value in epoch milliseconds. Null and undefined are "no time", which `invalidTimestamp` deals with, as
   * is anything else that is no number from 0 on.
   * @example
   * timestamp: ({ updatedAt }) => updatedAt
   */
  readonly timestamp?: (value: V) => number | null | undefined;
  /** The farthest that a time from the value may be ahead of the record's Kafka timestamp. Default: one hour. */
  readonly futureMax?: Duration;
  /**
   * The outcome of a record without a usable time: a dead letter (the default), a record at its Kafka
   * timestamp, or a reason to halt before it.
   */
  readonly invalidTimestamp?: InvalidTimestamp;
  /**
   * The time without records after which windows no longer wait for a partition of the topic: then its time follows the wall
   * clock, so much behind it. At least the usual delay from event time to arrival, or what comes later is late. "never"
   * where history is fed in. Default: 30 s, and 5 s where it is read with `loadFirst`.
   * @example
   * topic("readings", { key: string, value: reading, owner: "team-iot", idleAfter: minutes(2) });
   */
  readonly idleAfter?: Duration | "never";
  /**
   * The Millrace pipeline that writes the topic, in the same namespace: a partition is quiet only once that pipeline has worked
   * all that its own sources had, so an outage of it is not taken for quietness. Both pipelines need the declaration.
   * @example
   * topic("orders.clean", { key: string, value: order, owner: "team-orders", writtenBy: "orders" });
   */
  readonly writtenBy?: string | PipelineName;
}

/** A pipeline, by its name. */
export interface PipelineName {
  readonly kind: "pipeline";
  readonly name: string;
}

/**
 * Declares a topic. Without `partitions` it has as many as the setting MILLRACE_TOPIC_PARTITIONS says, or 4.
 * @example
 * export const orders = topic("customer_orders", { key: string, value: order, partitions: 4, owner: "team-orders" });
 * export const returns = topic("returns", { key: string, value: order, owner: "team-orders" });
 */
export function topic<K, V>(name: string, options: TopicOptions<K, V>): Topic<K, V> {
  return Object.freeze({
    kind: "topic",
    name,
    key: options.key,
    value: options.value,
    partitions: options.partitions ?? null,
    owner: options.owner,
    description: options.description ?? null,
    ...settingsOf(options),
    personalData: options.personalData ?? [],
    personalKey: options.personalKey ?? null,
    timestamp: (options.timestamp as Topic<K, V>["timestamp"] | undefined) ?? null,
    futureMax: options.futureMax ?? { ms: DEFAULT_TIME_RULE.futureMaxMs },
    invalidTimestamp: options.invalidTimestamp ?? DEFAULT_TIME_RULE.invalid,
    idleAfter: options.idleAfter ?? null,
    writtenBy: writerOf(options.writtenBy),
  });
}

const writerOf = (writer: string | PipelineName | undefined): string | null =>
  (typeof writer === "object" ? writer.name : writer) ?? null;

function settingsOf<K, V>(
  options: TopicOptions<K, V>,
): Pick<Topic<K, V>, "retention" | "compacted" | "config" | "external"> {
  return {
    retention: options.retention ?? null,
    compacted: options.compacted ?? null,
    config: options.config ?? {},
    external: options.external ?? false,
  };
}
