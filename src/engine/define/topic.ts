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
  readonly retention: Duration | "forever";
  readonly compacted: boolean;
  readonly config: Readonly<Record<string, string>>;
  /** Paths of fields that are personal data, nested as "address.street". */
  readonly personalData: readonly string[];
  /** Event time of a value, epoch ms; null takes Kafka's timestamp. */
  readonly timestamp: ((value: never) => number | null | undefined) | null;
  /** The farthest that a time from a value may be ahead of the record's Kafka timestamp. */
  readonly futureMax: Duration;
  readonly invalidTimestamp: InvalidTimestamp;
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

/** Paths of the fields of T, nested ones as "a.b". */
type FieldPath<T> = T extends readonly unknown[] | Uint8Array | ((...args: never[]) => unknown)
  ? never
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
  /** Default: 7 days. */
  readonly retention?: Duration | "forever";
  readonly compacted?: boolean;
  readonly config?: Readonly<Record<string, string>>;
  readonly personalData?: readonly FieldPath<V>[];
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
}

const SEVEN_DAYS: Duration = { ms: 7 * 86_400_000 };

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
    retention: options.retention ?? SEVEN_DAYS,
    compacted: options.compacted ?? false,
    config: options.config ?? {},
    personalData: options.personalData ?? [],
    timestamp: (options.timestamp as Topic<K, V>["timestamp"] | undefined) ?? null,
    futureMax: options.futureMax ?? { ms: DEFAULT_TIME_RULE.futureMaxMs },
    invalidTimestamp: options.invalidTimestamp ?? DEFAULT_TIME_RULE.invalid,
  });
}
