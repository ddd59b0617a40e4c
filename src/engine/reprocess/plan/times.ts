// From a time to the first offset at or after it, by looking at the records: what a broker's index says is checked over a
// margin before and behind, since producers may write timestamps out of order.
import type { AdminPort, KafkaPort, Watermarks } from "../../core/kafka.ts";
import { readRange } from "../../core/read-range.ts";
import type { RawRecord, TopicName, TopicPartition } from "../../core/record.ts";

export interface TimePorts {
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly admin: AdminPort;
}

export interface TimedOffset extends TopicPartition {
  /** Of the first record with that time or a later one; else the end of the partition. */
  readonly nextOffset: bigint;
  /** Records behind that offset, within the margin, that are older than the time. */
  readonly older: number;
}

interface WantedTime {
  readonly topic: TopicName;
  readonly epochMs: number;
  readonly marginMs: number;
}

export async function offsetsAt(
  { topic, epochMs, marginMs }: WantedTime,
  ports: TimePorts,
): Promise<readonly TimedOffset[]> {
  const { admin } = ports;
  const described = (await admin.describeTopics([topic])).get(topic) ?? null;
  // Stamped by the broker: in order.
  const isOrdered = described?.config["message.timestamp.type"] === "LogAppendTime";
  const marks = await admin.watermarks(topic);
  const begins = await admin.offsetsByTime(
    topic,
    Math.max(0, isOrdered ? epochMs : epochMs - marginMs),
  );
  return Promise.all(
    marks.map(async (mark) => {
      const begin = begins.find(({ partition }) => partition === mark.partition)?.nextOffset;
      const from = begin === undefined || begin > mark.high ? mark.high : begin;
      const { partition } = mark;
      if (isOrdered) return { topic, partition, nextOffset: from, older: 0 };
      const span = { from, epochMs, untilMs: epochMs + marginMs };
      return { topic, partition, ...(await look(mark, span, ports)) };
    }),
  );
}

interface Span {
  readonly from: bigint;
  readonly epochMs: number;
  /** Nothing older is expected behind a record of this time. */
  readonly untilMs: number;
}

async function look(
  { topic, partition, high }: Watermarks,
  span: Span,
  { kafka }: TimePorts,
): Promise<Pick<TimedOffset, "nextOffset" | "older">> {
  const seen = new SeenTimes(span);
  const range = { topic, partition, from: span.from, to: high };
  for await (const { records } of readRange(kafka, range, { waits: false })) {
    for (const record of records) seen.note(record);
    if (seen.isOver) break;
  }
  return { nextOffset: seen.found ?? high, older: seen.older };
}

class SeenTimes {
  readonly #span: Span;
  found: bigint | null = null;
  older = 0;
  isOver = false;

  constructor(span: Span) {
    this.#span = span;
  }

  note({ offset, timestamp }: RawRecord): void {
    const { epochMs, untilMs } = this.#span;
    if (this.isOver) return;
    if (timestamp >= epochMs) this.found ??= offset;
    else if (this.found !== null) this.older++;
    this.isOver = timestamp >= untilMs;
  }
}
