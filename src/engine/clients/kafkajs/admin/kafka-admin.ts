// Topics, offsets and groups for tools and take-overs. Every call is bounded by a deadline, so that a command says that
// Kafka is away instead of waiting for it.
import type {
  AdminPort,
  CommittedOffset,
  GroupDescription,
  Progress,
  StartOffset,
  TopicDescription,
  TopicSpec,
  Watermarks,
} from "../../../core/kafka.ts";
import { DependencyError } from "../../../core/errors.ts";
import type { GroupId, TopicName, TopicPartition } from "../../../core/record.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal } from "../failures.ts";
import { topicsRead } from "../group/member-data.ts";
import { lookUpOffsets } from "../offset-lookup.ts";
import type { DriverBroker } from "../overrides/driver.ts";
import { ends } from "../protocol/list-offsets.ts";
import { offsetCommitRequest, offsetFetchRequest } from "../protocol/offsets.ts";
import { TopicAdmin } from "./topic-admin.ts";

/** A group's offsets may be pending in an open transaction until it times out. */
const stableDeadlineMs = 120_000;

export class KafkaAdmin implements AdminPort {
  readonly #cluster: Cluster;
  readonly #deadlineMs: number;
  readonly #topics: TopicAdmin;

  constructor(cluster: Cluster, deadlineMs: number) {
    this.#cluster = cluster;
    this.#deadlineMs = deadlineMs;
    this.#topics = new TopicAdmin(cluster, deadlineMs);
  }

  #retry<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.#cluster.retry({ deadlineMs: this.#deadlineMs, what }, work);
  }

  describeTopics(
    topics: readonly TopicName[],
  ): Promise<ReadonlyMap<TopicName, TopicDescription | null>> {
    return this.#topics.describeTopics(topics);
  }

  listTopics(): Promise<readonly TopicName[]> {
    return this.#topics.listTopics();
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#topics.createTopics(topics);
  }

  addPartitions(topic: TopicName, partitions: number): Promise<void> {
    return this.#topics.addPartitions(topic, partitions);
  }

  alterTopicConfig(topic: TopicName, config: Readonly<Record<string, string>>): Promise<void> {
    return this.#topics.alterTopicConfig(topic, config);
  }

  deleteTopics(topics: readonly TopicName[]): Promise<void> {
    return this.#topics.deleteTopics(topics);
  }

  watermarks(topic: TopicName): Promise<readonly Watermarks[]> {
    return this.#retry(`watermarks of ${topic}`, async () => {
      const partitions = await this.#topics.partitions(topic);
      const low = await lookUpOffsets(this.#cluster, partitions, ends.low);
      const high = await lookUpOffsets(this.#cluster, partitions, ends.high);
      return partitions.map((at, i) => ({
        ...at,
        low: low[i]?.nextOffset ?? 0n,
        high: high[i]?.nextOffset ?? 0n,
      }));
    });
  }

  offsetsByTime(topic: TopicName, timestampMs: number): Promise<readonly StartOffset[]> {
    return this.#retry(`offsets of ${topic} by time`, async () => {
      const partitions = await this.#topics.partitions(topic);
      const high = await lookUpOffsets(this.#cluster, partitions, ends.high);
      const found = await lookUpOffsets(this.#cluster, partitions, BigInt(timestampMs));
      return found.map((at, i) => {
        const end = high[i]?.nextOffset ?? 0n;
        return { ...at, nextOffset: at.nextOffset < 0n ? end : at.nextOffset };
      });
    });
  }

  async committed(
    group: GroupId,
    partitions: readonly TopicPartition[],
    options: { readonly stable: boolean },
  ): Promise<readonly CommittedOffset[]> {
    if (partitions.length === 0) return [];
    const deadlineMs = options.stable ? stableDeadlineMs : this.#deadlineMs;
    const request = { group, partitions, isStable: options.stable };
    return this.#cluster.retry({ deadlineMs, what: `progress of ${group}` }, () =>
      this.#cluster.atCoordinator(
        { kind: "group", id: group, isRepeatable: true },
        async (broker) => {
          const answer = await this.#cluster.send(broker, offsetFetchRequest(request));
          if (answer.errorCode !== 0) throw new BrokerRefusal(answer.errorCode);
          const refused = answer.offsets.find((at) => at.errorCode !== 0);
          if (refused !== undefined) throw new BrokerRefusal(refused.errorCode, refused);
          return inOrder(partitions, answer.offsets);
        },
      ),
    );
  }

  async commitOffsets(group: GroupId, progress: readonly Progress[]): Promise<void> {
    if (progress.length === 0) return;
    await this.#retry(`set progress of ${group}`, () =>
      this.#cluster.atCoordinator(
        { kind: "group", id: group, isRepeatable: true },
        async (broker) => {
          const answers = await this.#cluster.send(broker, offsetCommitRequest(group, progress));
          const refused = answers.find(({ errorCode }) => errorCode !== 0);
          if (refused !== undefined) throw new BrokerRefusal(refused.errorCode, refused);
        },
      ),
    );
  }

  async deleteRecords(below: readonly StartOffset[]): Promise<void> {
    for (const { topic, partition, nextOffset } of below)
      await this.#retry(`delete records of ${topic}-${String(partition)}`, async () => {
        this.#cluster.want([topic]);
        await this.#cluster.refreshIfOld();
        const leader = this.#cluster.leaderId({ topic, partition });
        if (leader === null)
          throw new BrokerRefusal(this.#cluster.whyNoLeader({ topic, partition }));
        const broker = await this.#cluster.broker(leader);
        const partitions = [{ partition, offset: nextOffset.toString() }];
        await this.#cluster
          .call(broker, "DeleteRecords", { topics: [{ topic, partitions }] })
          .catch((error: unknown) => {
            throw refusedDelete(error);
          });
      });
  }

  listGroups(): Promise<readonly GroupId[]> {
    return this.#retry("list groups", async () => {
      await this.#cluster.refresh();
      const answers = await Promise.all(
        this.#cluster.metadata.brokers.map(async ({ nodeId }) => {
          const broker = await this.#cluster.broker(nodeId);
          return this.#cluster.call<{ groups: { groupId: string }[] }>(broker, "ListGroups", {});
        }),
      );
      return answers.flatMap(({ groups }) => groups.map(({ groupId }) => groupId));
    });
  }

  describeGroup(group: GroupId): Promise<GroupDescription> {
    return this.#retry(`describe group ${group}`, () =>
      this.#cluster.atCoordinator(
        { kind: "group", id: group, isRepeatable: true },
        async (broker) => describeGroup(this.#cluster, broker, group),
      ),
    );
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }
}

const inOrder = (
  partitions: readonly TopicPartition[],
  offsets: readonly CommittedOffset[],
): CommittedOffset[] =>
  partitions.map(({ topic, partition }) => {
    const found = offsets.find((at) => at.topic === topic && at.partition === partition);
    return {
      topic,
      partition,
      nextOffset: found?.nextOffset ?? null,
      metadata: found?.metadata ?? "",
    };
  });

/** kafkajs hides the broker's error of a partition inside a list. */
function refusedDelete(error: unknown): unknown {
  const { partitions } = error as { partitions?: readonly { error?: unknown }[] };
  return partitions?.find((partition) => partition.error !== undefined)?.error ?? error;
}

interface DescribedMember {
  readonly memberId: string;
  readonly clientHost: string;
  /** Empty while the group is not stable. */
  readonly memberMetadata: Buffer;
}

async function describeGroup(
  cluster: Cluster,
  broker: DriverBroker,
  group: GroupId,
): Promise<GroupDescription> {
  const answer = await cluster.call<{
    groups: { state: string; members: DescribedMember[] }[];
  }>(broker, "DescribeGroups", { groupIds: [group] });
  const [found] = answer.groups;
  if (found === undefined)
    throw new DependencyError("MILL_KAFKA_REFUSED", `group ${group} was not described`);
  const members = found.members.map(({ memberId, clientHost, memberMetadata }) => {
    const topics = memberMetadata.length === 0 ? null : topicsRead(memberMetadata);
    return { memberId, host: clientHost, topics };
  });
  return { group, state: found.state, members };
}
