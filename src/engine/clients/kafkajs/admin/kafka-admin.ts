// Topics, offsets and groups for tools and take-overs. Every call is bounded by a deadline, so that a command says that
// Kafka is away instead of waiting for it.
import type {
  AdminPort,
  CommittedOffset,
  CommittedOptions,
  GroupGeneration,
  GroupDescription,
  Progress,
  StartOffset,
  Watermarks,
} from "../../../core/kafka.ts";
import { DependencyError } from "../../../core/errors.ts";
import type { GroupId, TopicName, TopicPartition } from "../../../core/record.ts";
import { BrokerRefusal, checked, codeOf, codes } from "../failures.ts";
import type { DriverBroker } from "../overrides/driver.ts";
import { memberFacts } from "../group/member-data.ts";
import { lookUpEnds, lookUpOffsets } from "../offset-lookup.ts";
import { ends } from "../protocol/list-offsets.ts";
import { noMember, offsetCommitRequest, offsetFetchRequest } from "../protocol/offsets.ts";
import { TopicAdmin } from "./topic-admin.ts";

/** A group's offsets may be pending in an open transaction until it times out. */
const stableDeadlineMs = 120_000;

export class KafkaAdmin extends TopicAdmin implements AdminPort {
  watermarks(topic: TopicName): Promise<readonly Watermarks[]> {
    return this.retry({ what: `watermarks of ${topic}`, topic, right: "Describe" }, async () =>
      lookUpEnds(this.cluster, await this.partitions(topic)),
    );
  }

  async stableEnds(partitions: readonly TopicPartition[]): Promise<readonly StartOffset[]> {
    if (partitions.length === 0) return [];
    this.cluster.want([...new Set(partitions.map(({ topic }) => topic))]);
    return this.retry({ what: "last stable offsets", right: "Describe" }, async () => {
      await this.cluster.refreshIfOld();
      return lookUpOffsets(this.cluster, partitions, ends.high, "committed");
    });
  }

  offsetsByTime(topic: TopicName, timestampMs: number): Promise<readonly StartOffset[]> {
    return this.retry({ what: `offsets of ${topic} by time`, right: "Describe" }, async () => {
      const partitions = await this.partitions(topic);
      const high = await lookUpOffsets(this.cluster, partitions, ends.high);
      const found = await lookUpOffsets(this.cluster, partitions, BigInt(timestampMs));
      return found.map((at, i) => {
        const end = high[i]?.nextOffset ?? 0n;
        return { ...at, nextOffset: at.nextOffset < 0n ? end : at.nextOffset };
      });
    });
  }

  async committed(
    group: GroupId,
    partitions: readonly TopicPartition[],
    { stable, member }: CommittedOptions,
  ): Promise<readonly CommittedOffset[]> {
    if (partitions.length === 0) return [];
    const deadlineMs = stable ? stableDeadlineMs : this.deadlineMs;
    const request = offsetFetchRequest(group, partitions, stable);
    const work = { what: `progress of ${group}`, group, right: "Describe" } as const;
    return this.cluster.retry(work, deadlineMs, () =>
      this.cluster.atCoordinator("group", group, async (broker) => {
        if (member !== undefined) await this.#beat(broker, member);
        const answer = await this.cluster.send(broker, request);
        if (answer.errorCode !== 0) throw new BrokerRefusal(answer.errorCode);
        if (member === undefined) await this.cluster.confirmCoordinator("group", group);
        return inOrder(partitions, checked(answer.offsets));
      }),
    );
  }

  /**
   * A coordinator that knows the generation has written it, and with it all progress that an earlier one has committed. One
   * that does not know it was deposed, if another broker says so; else the member was.
   */
  async #beat(broker: DriverBroker, member: GroupGeneration): Promise<void> {
    const { group: groupId, generationId: groupGenerationId, memberId } = member;
    try {
      await this.cluster.call(broker, "Heartbeat", { groupId, groupGenerationId, memberId });
    } catch (error) {
      if (codeOf(error) === codes.rebalanceInProgress) return;
      await this.cluster.confirmCoordinator("group", groupId);
      throw error;
    }
  }

  async commitOffsets(group: GroupId, progress: readonly Progress[]): Promise<void> {
    if (progress.length === 0) return;
    await this.retry({ what: `set progress of ${group}`, group }, () =>
      this.cluster.atCoordinator("group", group, async (broker) =>
        checked(await this.cluster.send(broker, offsetCommitRequest(noMember(group), progress))),
      ),
    );
  }

  async deleteRecords(below: readonly StartOffset[]): Promise<void> {
    for (const { topic, partition, nextOffset } of below) {
      const what = `delete records of ${topic}-${String(partition)}`;
      await this.retry({ what, topic, right: "Delete" }, async () => {
        this.cluster.want([topic]);
        await this.cluster.refreshIfOld();
        const broker = await this.cluster.leader({ topic, partition });
        const partitions = [{ partition, offset: nextOffset.toString() }];
        await this.cluster
          .call(broker, "DeleteRecords", { topics: [{ topic, partitions }] })
          .catch((error: unknown) => {
            throw refusedDelete(error);
          });
      });
    }
  }

  listGroups(): Promise<readonly GroupId[]> {
    return this.retry("list groups", async () => {
      await this.cluster.refresh();
      const answers = await Promise.all(
        this.cluster.metadata.brokers.map(async ({ nodeId }) => {
          const broker = await this.cluster.broker(nodeId);
          return this.cluster.call<{ groups: { groupId: string }[] }>(broker, "ListGroups", {});
        }),
      );
      return answers.flatMap(({ groups }) => groups.map(({ groupId }) => groupId));
    });
  }

  describeGroup(group: GroupId): Promise<GroupDescription> {
    return this.retry({ what: `describe group ${group}`, group, right: "Describe" }, () =>
      this.cluster.atCoordinator("group", group, async (broker) => {
        const { groups } = await this.cluster.call<{ groups: readonly DescribedGroup[] }>(
          broker,
          "DescribeGroups",
          { groupIds: [group] },
        );
        const [found] = groups;
        if (found === undefined)
          throw new DependencyError("MILL_KAFKA_REFUSED", `group ${group} was not described`);
        const members = found.members.map(({ memberId, clientHost, memberMetadata }) => {
          const facts = memberMetadata.length === 0 ? null : memberFacts(memberMetadata);
          const { topics = null, format = null } = facts ?? {};
          return { memberId, host: clientHost, topics, format };
        });
        return { group, state: found.state, members };
      }),
    );
  }

  close(): Promise<void> {
    return this.cluster.close();
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

interface DescribedGroup {
  readonly state: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly clientHost: string;
    /** Empty while the group is not stable. */
    readonly memberMetadata: Buffer;
  }[];
}
