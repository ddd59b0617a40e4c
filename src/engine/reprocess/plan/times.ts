// From a time to the first offset at or after it, by looking at the records: what a broker's index says is checked over a
// margin before and behind, since producers may write timestamps out of order.
import type { OperatePorts } from "../../operate/choice.ts";
import type { Watermarks } from "../../core/kafka.ts";
import { readRange } from "../../core/read-range.ts";
import type { TopicName, TopicPartition } from "../../core/record.ts";

export type TimePorts = Pick<OperatePorts, "kafka" | "admin">;

export interface TimedOffset extends TopicPartition {
  /** The offset of the first record with that time or a later one; else the end of the partition. */
  readonly nextOffset: bigint;
  /** Records behind that offset, within the margin, that are older than the time. */
  readonly older: number;
}

export async function offsetsAt(
  topic: TopicName,
  epochMs: number,
  marginMs: number,
  { kafka, admin }: TimePorts,
): Promise<readonly TimedOffset[]> {
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
      return { topic, partition, ...(await look(mark, from, epochMs, marginMs, kafka)) };
    }),
  );
}

async function look(
  { topic, partition, high }: Watermarks,
  from: bigint,
  epochMs: number,
  marginMs: number,
  kafka: TimePorts["kafka"],
): Promise<Pick<TimedOffset, "nextOffset" | "older">> {
  let found: bigint | null = null;
  let older = 0;
  const range = { topic, partition, from, to: high };
  for await (const { records } of readRange(kafka, range, { waits: false }))
    for (const { offset, timestamp } of records) {
      if (timestamp >= epochMs) found ??= offset;
      else if (found !== null) older++;
      // Nothing older is expected behind a record beyond the margin.
      if (timestamp >= epochMs + marginMs) return { nextOffset: found ?? high, older };
    }
  return { nextOffset: found ?? high, older };
}
