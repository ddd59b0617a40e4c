// Values into a topic: encode, choose the partition as every producer of Kafka does, send in batches. One batch is
// in flight at a time, and the next record is asked for only when there is room: memory stays bounded.
import { RecordsRefusedError, refusalText, type RefusedRecord } from "../engine/core/errors.ts";
import type { PlainProducer } from "../engine/core/kafka.ts";
import type { Clock } from "../engine/core/ports.ts";
import { type OutRecord, partitionOf, type TopicName } from "../engine/core/record.ts";
import type { Codec } from "../engine/core/schema.ts";
import { batches } from "./rate.ts";

export interface Sendable {
  readonly key: unknown;
  readonly value: unknown;
  /** Damages the encoded value (poison). */
  readonly damage?: (bytes: Buffer) => Buffer;
}

interface SendTarget {
  readonly topic: TopicName;
  readonly partitions: number;
  readonly key: Codec;
  readonly value: Codec;
  readonly producer: PlainProducer;
}

interface SendOptions {
  readonly clock: Clock;
  /** Records a second; null: as fast as the broker takes them. */
  readonly perSecond: number | null;
  onSent(records: number): void;
  /** Called for each record that the broker refuses; without it the first one ends the sending. */
  onRefused?(refused: RefusedRow): void;
}

/** A record that the broker refuses for what it is; all others are sent. */
export interface RefusedRow {
  /** The number among the records that were given, from 1 on. */
  readonly number: number;
  readonly why: string;
}

const BATCH_RECORDS_MAX = 5_000;
const BATCH_BYTES_MAX = 900_000;

/** Resolves with the number of records that the broker has acknowledged, when every one has an answer. */
export async function sendAll(
  records: AsyncIterable<Sendable> | Iterable<Sendable>,
  target: SendTarget,
  options: SendOptions,
): Promise<number> {
  const { clock, perSecond } = options;
  const limits = { recordsMax: BATCH_RECORDS_MAX, bytesMax: BATCH_BYTES_MAX, perSecond };
  let given = 0;
  let sent = 0;
  for await (const batch of batches(encoded(records, target, clock), limits, clock)) {
    const refused = await refusedOf(target.producer, batch, options);
    for (const { index, ...why } of refused)
      options.onRefused?.({ number: given + index + 1, why: refusalText([{ index, ...why }]) });
    given += batch.length;
    sent += batch.length - refused.length;
    options.onSent(batch.length);
  }
  return sent;
}

async function refusedOf(
  producer: PlainProducer,
  batch: readonly OutRecord[],
  { onRefused }: SendOptions,
): Promise<readonly RefusedRecord[]> {
  try {
    await producer.send(batch);
    return [];
  } catch (error) {
    if (error instanceof RecordsRefusedError && onRefused !== undefined) return error.refused;
    throw error;
  }
}

async function* encoded(
  records: AsyncIterable<Sendable> | Iterable<Sendable>,
  target: SendTarget,
  clock: Clock,
): AsyncGenerator<OutRecord> {
  const { topic, partitions } = target;
  let index = 0;
  for await (const { key, value, damage } of records) {
    const keyBytes = key === null ? null : target.key.encode(key);
    const valueBytes = value === null ? null : target.value.encode(value);
    yield {
      topic,
      partition: partitionOf(keyBytes, partitions, index++),
      key: keyBytes,
      value: valueBytes === null || damage === undefined ? valueBytes : damage(valueBytes),
      headers: [],
      // The time of sending: retention counts from it. Event time is in the value (`timestamp` of the topic).
      timestamp: clock.now(),
    };
  }
}
