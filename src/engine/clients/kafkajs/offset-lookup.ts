// Where partitions begin and end, and where a moment lies in them: asks each leader. One attempt; callers repeat.
import type { StartOffset } from "../../core/kafka.ts";
import type { TopicPartition } from "../../core/record.ts";
import type { Cluster } from "./cluster.ts";
import { BrokerRefusal } from "./failures.ts";
import { ends, listOffsetsRequest, type OffsetAnswer } from "./protocol/list-offsets.ts";

/** In the order of `partitions`. Throws the first refusal, after having asked for the leaders anew. */
export async function lookUpOffsets(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  timestamp: bigint,
): Promise<StartOffset[]> {
  const byLeader = new Map<number, TopicPartition[]>();
  for (const at of partitions) {
    const leader = cluster.leaderId(at);
    if (leader === null)
      throw await refused(cluster, { ...at, errorCode: cluster.whyNoLeader(at) });
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), at]);
  }
  const answers = await Promise.all(
    [...byLeader].map(async ([leader, places]) => {
      const broker = await cluster.broker(leader);
      return cluster.send(broker, listOffsetsRequest(places, timestamp));
    }),
  );
  const found = answers.flat();
  const bad = found.find((answer) => answer.errorCode !== 0);
  if (bad !== undefined) throw await refused(cluster, bad);
  return partitions.map((at) => ({ ...at, nextOffset: offsetAt(found, at) }));
}

const offsetAt = (found: readonly OffsetAnswer[], at: TopicPartition): bigint =>
  found.find((answer) => answer.topic === at.topic && answer.partition === at.partition)?.offset ??
  -1n;

/** The error of a code; the leaders are asked for first, so that the next attempt goes to the right ones. */
async function refused(
  cluster: Cluster,
  at: Pick<OffsetAnswer, "topic" | "partition" | "errorCode">,
): Promise<BrokerRefusal> {
  // If that fails too, the next attempt says so.
  await cluster.refresh().catch(() => undefined);
  return new BrokerRefusal(at.errorCode, at);
}

export async function offsetRange(
  cluster: Cluster,
  at: TopicPartition,
): Promise<{ low: bigint; high: bigint }> {
  const [low] = await lookUpOffsets(cluster, [at], ends.low);
  const [high] = await lookUpOffsets(cluster, [at], ends.high);
  return { low: low?.nextOffset ?? -1n, high: high?.nextOffset ?? -1n };
}
