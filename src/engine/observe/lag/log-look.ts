// Finds out when the record behind progress was appended, where nobody fetches: for a worker whose task waits, and for
// `millrace lag`.
import type { KafkaPort, TopicDescription } from "../../core/kafka.ts";
import type { Clock } from "../../core/ports.ts";
import type { TopicPartition } from "../../core/record.ts";
import type { AppendTimes } from "./append-times.ts";

const DAY_MS = 86_400_000;
/** The age up to which a producer's time is believed in a topic that keeps everything. */
const CLAIM_AGE_MAX_MS = 7 * DAY_MS;
const READ_BYTES = 262_144;
const READ_WAIT_MS = 200;
/** The marker of a large transaction lies far behind its first record. */
const READS_MAX = 16;

/** A producer's time older than what the topic keeps is none of an append. */
export function claimAgeMaxMs(topic: TopicDescription | null): number {
  const retentionMs = Number(topic?.config["retention.ms"] ?? -1);
  const deletes = topic?.config["cleanup.policy"]?.includes("delete") ?? true;
  return deletes && retentionMs >= 0 ? retentionMs : CLAIM_AGE_MAX_MS;
}

interface LookPorts {
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly clock: Pick<Clock, "now">;
}

/**
 * Reads from `fromOffset` on, which the log must still have, until it is known when the first record was appended. Returns
 * whether there is a record.
 */
export async function lookAhead(
  { kafka, clock }: LookPorts,
  times: AppendTimes,
  at: TopicPartition,
  fromOffset: bigint,
): Promise<boolean> {
  const { topic, partition } = at;
  const limits = { maxBytes: READ_BYTES, maxWaitMs: READ_WAIT_MS };
  const reader = kafka.reader({ topic, partition, fromOffset, ...limits });
  let first: bigint | null = null;
  try {
    for (let reads = 0; reads < READS_MAX; reads++) {
      const { records, nextOffset, lastStableOffset, marks = [] } = await reader.read();
      times.see(lastStableOffset, clock.now());
      times.mark(marks);
      first ??= records[0]?.offset ?? null;
      times.skip(fromOffset, first ?? nextOffset);
      const isKnown = first !== null && !times.isOpen(first);
      if (isKnown || nextOffset >= lastStableOffset) break;
    }
    return first !== null;
  } finally {
    await reader.close();
  }
}
