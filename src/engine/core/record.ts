// The words for one record and for places in a log. No input or output here.
// Offsets are bigint; `nextOffset` is the next one to read and the one that is committed.
import { headerNameLength } from "./header-name.ts";
import type { JoinOrigin } from "./join-buffer.ts";
import type { Redriven } from "./redrive.ts";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]?: Name };

/** A topic's full name, namespace included where it has one. */
export type TopicName = Branded<"TopicName">;
/** A consumer group's full name, namespace included. */
export type GroupId = Branded<"GroupId">;

/**
 * Header pairs in wire order; a name may repeat, and readers take the last. Values may be null. A name that is not UTF-8
 * represents its bytes (header-name.ts).
 */
export type Headers = readonly (readonly [name: string, value: Buffer | null])[];

export interface TopicPartition {
  readonly topic: TopicName;
  readonly partition: number;
}

/** A record as it is in the log. Key and value are slices of a fetch: copy what is kept. */
export interface RawRecord extends TopicPartition {
  readonly offset: bigint;
  /** Milliseconds since the epoch, as Kafka has it. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
  /** Its origin time less its event time, ms, where another part has sent it; left out for 0. */
  readonly ageMs?: number;
  /** Its origin as bytes, where another part has sent it and a step behind takes records in order. */
  readonly origin?: Buffer;
  /** Set of what a join of this part has made. */
  readonly joined?: JoinOrigin;
  /** Set when it failed before and was sent again. */
  readonly redriven?: Redriven;
  /** Set of a result of state that is none of a record (state-results.ts): names the entry that was due. */
  readonly entry?: string;
}

/** The record of a callback's value, handed in beside the value. */
export interface RecordContext<K = unknown> extends TopicPartition {
  readonly key: K;
  /** Event time in milliseconds since the epoch. */
  readonly timestamp: number;
  readonly offset: bigint;
  readonly headers: Headers;
}

/** A record to be written; the partition is already chosen. */
export interface OutRecord extends TopicPartition {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
  readonly timestamp: number;
  /** The record that it was made of, where that is one: should it be refused, that record is the dead letter. */
  readonly source?: RawRecord | undefined;
}

/** The topic and offset by which its progress is counted: for a redriven record those in the redrive topic. */
export const placeOf = (raw: RawRecord): { readonly topic: TopicName; readonly offset: bigint } =>
  raw.redriven ?? raw;

/** The bytes that headers take in a record, roughly. */
export function headersBytes(headers: Headers): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += 2 + headerNameLength(name) + (value?.length ?? 0);
  return bytes;
}

/** A task's place in one of its inputs: a part on one partition of a topic. */
export interface TaskAt extends TopicPartition {
  readonly part: string;
}

/** `part/topic/partition`, for maps and notes. */
export const taskKey = ({ part, topic, partition }: TaskAt): string =>
  `${part}/${topic}/${String(partition)}`;

/** `topic-partition`, for maps and messages. */
export const addressOf = (at: TopicPartition): string => `${at.topic}-${String(at.partition)}`;

/** The last value of a header name, as text, or null. */
export function headerText(headers: Headers, name: string): string | null {
  for (let i = headers.length - 1; i >= 0; i--) {
    const pair = headers[i];
    if (pair?.[0] === name) return pair[1]?.toString("utf8") ?? null;
  }
  return null;
}

const M = 0x5bd1e995;

/** As Java's producer has it (org.apache.kafka.common.utils.Utils.murmur2): our keys meet those that Java and kafkajs write. */
export function murmur2(data: Uint8Array): number {
  const length = data.length;
  let h = 0x9747b28c ^ length;
  const words = length >> 2;
  for (let i = 0; i < words; i++) {
    const at = i << 2;
    let k =
      (data[at] as number) |
      ((data[at + 1] as number) << 8) |
      ((data[at + 2] as number) << 16) |
      ((data[at + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = words << 2;
  const left = length & 3;
  if (left > 2) h ^= (data[rest + 2] as number) << 16;
  if (left > 1) h ^= (data[rest + 1] as number) << 8;
  if (left > 0) h = Math.imul(h ^ (data[rest] as number), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

/** The partition of a key, of `partitions` in all. A record without key stays on `fallback` modulo that number. */
export const partitionOf = (
  key: Uint8Array | null,
  partitions: number,
  fallback: number,
): number => (key === null ? fallback % partitions : (murmur2(key) & 0x7fffffff) % partitions);
