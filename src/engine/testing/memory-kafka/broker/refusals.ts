// The reasons why a broker refuses a record: its topic's settings, as Apache Kafka's LogValidator checks them.
import type { RefusedRecord } from "../../../core/errors.ts";
import type { OutRecord } from "../../../core/record.ts";
import { byteLengthOf } from "./partition-log.ts";

export type RefusalReason = Pick<RefusedRecord, "code" | "words">;
/** Null for a record that is taken. */
export type Refuses = (record: OutRecord) => RefusalReason | null;

type Config = Readonly<Record<string, string>>;

export function reasonOf(record: OutRecord, config: Config, nowMs: number): RefusalReason | null {
  if (byteLengthOf(record) > Number(config["max.message.bytes"]))
    return { code: "MESSAGE_TOO_LARGE", words: null };
  if (record.key === null && config["cleanup.policy"]?.includes("compact") === true)
    return {
      code: "INVALID_RECORD",
      words: `Compacted topic cannot accept message without key in topic partition ${record.topic}-${String(record.partition)}.`,
    };
  return isOutOfTime(record, config, nowMs) ? { code: "INVALID_TIMESTAMP", words: null } : null;
}

function isOutOfTime({ timestamp }: OutRecord, config: Config, nowMs: number): boolean {
  if (config["message.timestamp.type"] === "LogAppendTime") return false;
  const aheadMs = timestamp - nowMs;
  return (
    aheadMs > Number(config["message.timestamp.after.max.ms"]) ||
    -aheadMs > Number(config["message.timestamp.before.max.ms"])
  );
}
