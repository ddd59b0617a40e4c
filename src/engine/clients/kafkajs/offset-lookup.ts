// The first and last offsets of partitions, and the offset of a moment, from each leader. Callers repeat.
import type { StartOffset, Watermarks } from "../../core/kafka.ts";
import type { TopicPartition } from "../../core/record.ts";
import type { Cluster } from "./cluster.ts";
import { checked } from "./failures.ts";
import {
  ends,
  listOffsetsRequest,
  type Isolation,
  type OffsetAnswer,
} from "./protocol/list-offsets.ts";

/** In the order of `partitions`. Throws the first refusal, after having asked for the leaders anew. */
export async function lookUpOffsets(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  timestamp: bigint,
  isolation: Isolation = "uncommitted",
): Promise<StartOffset[]> {
  try {
    const byLeader = Map.groupBy(partitions, (at) => cluster.leaderId(at));
    const answers = await Promise.all(
      [...byLeader].map(async ([leader, places]) => {
        const broker = await cluster.leader(places[0] as TopicPartition);
        const answer = await cluster.send(broker, listOffsetsRequest(places, timestamp, isolation));
        // An end from before the partition had another leader would hide what is behind it.
        if (leader !== null) await cluster.confirmLeader(leader, places);
        return answer;
      }),
    );
    const found = checked(answers.flat());
    return partitions.map((at) => ({ ...at, nextOffset: offsetAt(found, at) }));
  } catch (error) {
    throw await cluster.afterRefusal(error);
  }
}

const offsetAt = (found: readonly OffsetAnswer[], at: TopicPartition): bigint =>
  found.find((answer) => answer.topic === at.topic && answer.partition === at.partition)?.offset ??
  -1n;

export async function lookUpEnds(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
): Promise<Watermarks[]> {
  const low = await lookUpOffsets(cluster, partitions, ends.low);
  const high = await lookUpOffsets(cluster, partitions, ends.high);
  return partitions.map(({ topic, partition }, i) => ({
    topic,
    partition,
    low: low[i]?.nextOffset ?? 0n,
    high: high[i]?.nextOffset ?? 0n,
  }));
}
