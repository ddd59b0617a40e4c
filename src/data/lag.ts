// The lag of each part, as anyone can see it from outside: the group's committed progress against the last
// stable offset, and the age of the record that waits there. (A worker knows its own lag from its own position.)
import type { AdminPort, KafkaPort } from "../engine/core/kafka.ts";
import { watermarksIfAny } from "../engine/core/late-topics.ts";
import type { Part, Plan } from "../engine/core/plan.ts";
import { addressOf, type GroupId, type TopicPartition } from "../engine/core/record.ts";
import { withAdmin } from "./with-admin.ts";
import { lagOf } from "../engine/observe/lag.ts";

export interface PartitionLag extends TopicPartition {
  readonly pipeline: string;
  readonly part: string;
  readonly group: GroupId;
  /** Null when the group has no progress here yet: then everything that is kept is ahead of it. */
  readonly nextOffset: bigint | null;
  readonly endOffset: bigint;
  readonly records: number;
  readonly seconds: number;
}

const WAIT_MS = 200;
/** A single record is enough to know its age. */
const FETCH_BYTES = 64_000;

/**
 * Lags of every part of the plans, in the order of plans, parts, topics and partitions; of the redrive topic only where
 * something waits. Missing topics throw.
 */
export async function lagsOf(
  plans: readonly Plan[],
  kafka: KafkaPort,
  now: () => number,
): Promise<readonly PartitionLag[]> {
  return withAdmin(kafka, async (admin) => {
    const lags = plans.flatMap((plan) =>
      plan.parts.map((part) => partLags(plan, part, kafka, admin, now)),
    );
    return (await Promise.all(lags)).flat();
  });
}

async function partLags(
  plan: Plan,
  part: Part,
  kafka: KafkaPort,
  admin: AdminPort,
  now: () => number,
): Promise<readonly PartitionLag[]> {
  const names = part.sources.map(({ name }) => name);
  const topics = await Promise.all([
    ...names.map((name) => admin.watermarks(name)),
    watermarksIfAny(admin, plan.redrive),
  ]);
  const starts = topics.flat().filter(({ partition }) => partition < part.partitions);
  const committed = await admin.committed(part.group, starts, { stable: false });
  const lags = await Promise.all(
    starts.map(async (start) => {
      const progress =
        committed.find((at) => addressOf(at) === addressOf(start))?.nextOffset ?? null;
      const fromOffset = progress === null || progress < start.low ? start.low : progress;
      const waiting =
        fromOffset >= start.high
          ? { endOffset: start.high, records: 0, seconds: 0 }
          : await waitingAt(kafka, now, start, fromOffset);
      const { topic, partition } = start;
      const labels = { pipeline: plan.pipeline, part: part.name, group: part.group };
      return { ...labels, topic, partition, nextOffset: progress, ...waiting };
    }),
  );
  return lags.filter(({ topic, records }) => topic !== plan.redrive || records > 0);
}

/** Reads on until a record turns up or the stable end is reached: behind the progress there may be control records only. */
async function waitingAt(
  kafka: KafkaPort,
  now: () => number,
  { topic, partition }: TopicPartition,
  fromOffset: bigint,
): Promise<Pick<PartitionLag, "endOffset" | "records" | "seconds">> {
  const limits = { maxBytes: FETCH_BYTES, maxWaitMs: WAIT_MS };
  const reader = kafka.reader({ topic, partition, fromOffset, ...limits });
  try {
    for (;;) {
      const { records, nextOffset, lastStableOffset: endOffset } = await reader.read();
      const oldest = records[0];
      if (oldest === undefined && nextOffset < endOffset) continue;
      const facts =
        oldest === undefined
          ? { nextOffset: endOffset, endOffset, oldestUncommittedMs: null }
          : { nextOffset: fromOffset, endOffset, oldestUncommittedMs: oldest.timestamp };
      const { records: behind, seconds } = lagOf(facts, now());
      return { endOffset, records: behind, seconds: seconds ?? 0 };
    }
  } finally {
    await reader.close();
  }
}
