// Values into a topic: encode, choose the partition as every producer of Kafka does, send in batches. One batch is
// in flight at a time, and the next record is asked for only when there is room: memory stays bounded.
import { RecordsRefusedError, refusalText, type RefusedRecord } from "../engine/core/errors.ts";
import type { Clock } from "../engine/core/ports.ts";
import { type OutRecord, partitionOf, type TopicName } from "../engine/core/record.ts";
import type { Codec } from "../engine/core/schema.ts";
import { batches } from "./rate.ts";

export interface Sendable {
  readonly key: unknown;
  readonly value: unknown;
  /** The line of the file that it comes from. */
  readonly line?: number;
  /** Damages the encoded value (poison). */
  readonly damage?: (bytes: Buffer) => Buffer;
}

/** An encoded record with the line of the file that it comes from. */
export interface LineRecord extends OutRecord {
  readonly line?: number;
}

interface EncodeTarget {
  readonly topic: TopicName;
  readonly partitions: number;
  readonly key: Codec;
  readonly value: Codec;
}

interface SendTarget extends EncodeTarget {
  readonly producer: BatchProducer;
}

/** A plain producer, or one that commits each batch. */
export interface BatchProducer {
  send(batch: readonly LineRecord[]): Promise<void>;
}

interface SendOptions {
  readonly clock: Clock;
  /** Records a second; null: as fast as the broker takes them. */
  readonly perSecond: number | null;
  /** Called after each batch; the line is that of its last record. */
  onSent(records: number, line: number | null): void;
  /** Called for each record that the broker refuses; without it the first one ends the sending. */
  onRefused?(refused: RefusedRow): void;
}

/** A record that the broker refuses for what it is; all others are sent. */
export interface RefusedRow {
  /** The number among the records that were given, from 1 on. */
  readonly number: number;
  /** Null for a record that comes from no file. */
  readonly line: number | null;
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
  const encode = encoder(target, options.clock);
  const encoded = async function* (): AsyncGenerator<LineRecord> {
    for await (const record of records) yield encode(record);
  };
  return sendEncoded(encoded(), target.producer, options);
}

/** The same for records that are bytes already. */
export async function sendEncoded(
  records: AsyncIterable<LineRecord>,
  producer: BatchProducer,
  options: SendOptions,
): Promise<number> {
  const { clock, perSecond } = options;
  const limits = { recordsMax: BATCH_RECORDS_MAX, bytesMax: BATCH_BYTES_MAX, perSecond };
  let given = 0;
  let sent = 0;
  for await (const batch of batches(records, limits, clock)) {
    const refused = await refusedOf(producer, batch, options);
    for (const one of refused)
      options.onRefused?.({
        number: given + one.index + 1,
        line: batch[one.index]?.line ?? null,
        why: refusalText([one]),
      });
    given += batch.length;
    sent += batch.length - refused.length;
    options.onSent(batch.length, batch.at(-1)?.line ?? null);
  }
  return sent;
}

async function refusedOf(
  producer: BatchProducer,
  batch: readonly LineRecord[],
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

/** Values to records for their partitions; throws where a codec cannot write one. */
export function encoder(
  target: EncodeTarget,
  clock: Pick<Clock, "now">,
): (record: Sendable) => LineRecord {
  const { topic, partitions } = target;
  let index = 0;
  return ({ key, value, damage, line }) => {
    const keyBytes = key === null ? null : target.key.encode(key);
    const valueBytes = value === null ? null : target.value.encode(value);
    return {
      topic,
      partition: partitionOf(keyBytes, partitions, index++),
      key: keyBytes,
      value: valueBytes === null || damage === undefined ? valueBytes : damage(valueBytes),
      headers: [],
      // The time of sending: retention counts from it. Event time is in the value (`timestamp` of the topic).
      timestamp: clock.now(),
      ...(line === undefined ? {} : { line }),
    };
  };
}
