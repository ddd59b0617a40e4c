// The lag of each part, as anyone can see it from outside: the group's committed progress against the last stable offset, and
// how long ago the record that waits there was appended. Who looks again with the same book knows of what came meanwhile when
// it came, as a worker does.
import type { AdminPort, KafkaPort, Watermarks } from "../engine/core/kafka.ts";
import { watermarksIfAny } from "../engine/core/late-topics.ts";
import type { Part, Plan } from "../engine/core/plan.ts";
import type { Clock } from "../engine/core/ports.ts";
import {
  addressOf,
  type GroupId,
  type TopicName,
  type TopicPartition,
} from "../engine/core/record.ts";
import { LagBook } from "../engine/observe/lag/append-times.ts";
import { claimAgeMaxMs, lookAhead } from "../engine/observe/lag/log-look.ts";
import { lagOf, nothing } from "../engine/observe/lag/lag.ts";
import { withAdmin } from "./with-admin.ts";

export interface PartitionLag extends TopicPartition {
  readonly pipeline: string;
  readonly part: string;
  readonly group: GroupId;
  /** Null when the group has no progress here yet: then everything that is kept is ahead of it. */
  readonly nextOffset: bigint | null;
  readonly endOffset: bigint;
  readonly records: number;
  readonly seconds: number;
  /** Nothing tells when the record was appended: `seconds` count since it was first seen. */
  readonly atLeast: boolean;
}

export interface LagPorts {
  readonly kafka: KafkaPort;
  readonly clock: Pick<Clock, "now">;
  readonly book?: LagBook;
}

interface Look extends Required<LagPorts> {
  readonly admin: AdminPort;
  /** The age up to which a producer's time is believed, by topic. */
  readonly claimAges: ReadonlyMap<TopicName, number>;
}

/**
 * Lags of every part of the plans, in the order of plans, parts, topics and partitions; of the redrive topic only where
 * something waits. Missing topics throw.
 */
export async function lagsOf(
  plans: readonly Plan[],
  { book = new LagBook(), ...ports }: LagPorts,
): Promise<readonly PartitionLag[]> {
  return withAdmin(ports.kafka, async (admin) => {
    const inputs = plans.flatMap(({ topics }) => topics.input.map(({ name }) => name));
    const described = await admin.describeTopics([...new Set(inputs)]);
    const claimAges = new Map([...described].map(([name, it]) => [name, claimAgeMaxMs(it)]));
    const look: Look = { ...ports, book, admin, claimAges };
    const lags = plans.flatMap((plan) => plan.parts.map((part) => partLags(plan, part, look)));
    return (await Promise.all(lags)).flat();
  });
}

async function partLags(plan: Plan, part: Part, look: Look): Promise<readonly PartitionLag[]> {
  const { admin } = look;
  const names = part.sources.map(({ name }) => name);
  const topics = await Promise.all([
    ...names.map((name) => admin.watermarks(name)),
    watermarksIfAny(admin, plan.redrive),
  ]);
  const starts = topics.flat().filter(({ partition }) => partition < part.partitions);
  const committed = await admin.committed(part.group, starts, { stable: false });
  const ends = await admin.stableEnds(starts);
  const lags = await Promise.all(
    starts.map(async (start, i) => {
      const nextOffset =
        committed.find((at) => addressOf(at) === addressOf(start))?.nextOffset ?? null;
      const endOffset = ends[i]?.nextOffset ?? start.low;
      const lag = await lagAt(look, part.group, { ...start, nextOffset, endOffset });
      const labels = { pipeline: plan.pipeline, part: part.name, group: part.group };
      const { topic, partition } = start;
      return { ...labels, topic, partition, nextOffset, endOffset, ...lag };
    }),
  );
  return lags.filter(({ topic, records }) => topic !== plan.redrive || records > 0);
}

async function lagAt(
  { book, kafka, clock, claimAges }: Look,
  group: GroupId,
  at: Watermarks & Pick<PartitionLag, "nextOffset" | "endOffset">,
): Promise<Pick<PartitionLag, "records" | "seconds" | "atLeast">> {
  const { nextOffset, low, endOffset, topic } = at;
  const committed = nextOffset === null || nextOffset < low ? low : nextOffset;
  const times = book.of(group, at);
  times.look(endOffset, clock.now());
  times.forget(committed);
  if (committed < endOffset) await lookAhead({ kafka, clock }, times, at, committed);
  const claimAgeMs = claimAges.get(topic);
  const oldestClaimMs = claimAgeMs === undefined ? null : clock.now() - claimAgeMs;
  const facts = { committed, times, end: endOffset, oldestClaimMs };
  const { records, seconds, isAtLeast } = lagOf(facts, clock.now()) ?? nothing;
  return { records, seconds, atLeast: isAtLeast };
}
