// A member of a consumer group, request by request: join, sync, heartbeat, leave (classic protocol, eager). This file
// has the requests to the coordinator and the meaning of its answers; the consumer decides when to send them.
import type { Assignment, ConsumerOptions, GroupGeneration } from "../../../core/kafka.ts";
import { DependencyError, MillraceError } from "../../../core/errors.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, codeOf, codes } from "../failures.ts";
import type { DriverBroker } from "../overrides/driver.ts";
import {
  decodeAssignment,
  encodeAssignments,
  encodeMember,
  protocolName,
  type MemberMetadata,
} from "./member-data.ts";

interface JoinAnswer {
  readonly generationId: number;
  readonly memberId: string;
  readonly leaderId: string;
  readonly members: readonly MemberMetadata[];
}

/** A broker answers each socket in turn: behind an unanswered JoinGroup nothing passes, behind a Fetch not at once. */
const sockets = { plain: 0, besideJoin: 1 } as const;

/** Everything that the group reads. */
export const topicsOf = ({ topics, beside = [] }: ConsumerOptions): readonly string[] => [
  ...topics,
  ...beside,
];

export class Membership {
  readonly #cluster: Cluster;
  readonly #options: ConsumerOptions;
  #memberId = "";
  #owned: readonly number[] = [];
  #isJoining = false;
  #isClosed = false;
  /** The first JoinGroup of a member, until its id is known; there is nothing to leave with before. */
  #introduced: Promise<unknown> = Promise.resolve();
  /** How often it has asked for a new assignment. */
  #asked = 0;

  constructor(cluster: Cluster, options: ConsumerOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Makes one attempt at JoinGroup and SyncGroup. */
  async join(): Promise<Assignment> {
    const { group } = this.#options;
    this.#isJoining = true;
    try {
      return await this.#cluster.atCoordinator("group", group, (broker) => this.#join(broker));
    } catch (error) {
      if (codeOf(error) === codes.unknownMemberId) this.#memberId = "";
      throw error;
    } finally {
      this.#isJoining = false;
    }
  }

  async #join(broker: DriverBroker): Promise<Assignment> {
    const { group } = this.#options;
    const joined = await this.#joinGroup(broker);
    this.#memberId = joined.memberId;
    const isLeader = joined.memberId === joined.leaderId;
    const groupAssignment = isLeader
      ? encodeAssignments(joined.members, await this.#partitionCounts())
      : [];
    const { generationId, memberId } = joined;
    const answer = await this.#cluster.call<{ memberAssignment: Buffer }>(broker, "SyncGroup", {
      groupId: group,
      generationId,
      memberId,
      groupAssignment,
    });
    const { partitions, indexes, identities } = decodeAssignment(answer.memberAssignment);
    this.#owned = indexes;
    return { generation: { group, generationId, memberId }, partitions, members: identities };
  }

  async #joinGroup(broker: DriverBroker): Promise<JoinAnswer> {
    const { group, identity, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options;
    const metadata = encodeMember(topicsOf(this.#options), identity, this.#owned, this.#asked);
    const attempt = async (): Promise<JoinAnswer> => {
      // A stop lies between two requests of a join: the next one would make a member that nobody takes out again.
      if (this.#isClosed) throw stopped(group);
      return this.#cluster.call<JoinAnswer>(broker, "JoinGroup", {
        groupId: group,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: rebalanceTimeoutMs,
        memberId: this.#memberId,
        protocolType: "consumer",
        groupProtocols: [{ name: protocolName, metadata }],
      });
    };
    if (this.#memberId !== "") return attempt();
    const introduced = this.#introduce(attempt);
    this.#introduced = introduced;
    return (await introduced) ?? attempt();
  }

  /** A first join is answered with the member id to join with (KIP-394): null then. Brokers without it join at once. */
  async #introduce(attempt: () => Promise<JoinAnswer>): Promise<JoinAnswer | null> {
    try {
      const joined = await attempt();
      this.#memberId = joined.memberId;
      return joined;
    } catch (error) {
      const { name, memberId } = error as { name?: string; memberId?: string };
      if (name !== "KafkaJSMemberIdRequired" || memberId === undefined) throw error;
      this.#memberId = memberId;
      return null;
    }
  }

  /** The partition count of every topic, asked for now: the leader's view decides what the group reads. */
  async #partitionCounts(): Promise<ReadonlyMap<string, number>> {
    await this.#cluster.refresh();
    const counts = new Map<string, number>();
    const { topics, beside = [] } = this.#options;
    for (const name of topics) counts.set(name, this.#partitionsOf(name));
    if (new Set(counts.values()).size > 1)
      throw new MillraceError(
        "MILL_TOPIC_PARTITIONS",
        `the topics of group ${this.#options.group} must have equal partition counts: ${[...counts]
          .map(([topic, count]) => `${topic} has ${String(count)}`)
          .join(", ")}`,
      );
    const most = Math.max(0, ...counts.values());
    for (const name of beside) counts.set(name, Math.min(most, this.#partitionsBeside(name)));
    return counts;
  }

  #partitionsOf(name: string): number {
    const topic = this.#cluster.topic(name);
    if (topic === undefined || topic.topicErrorCode !== 0)
      throw new BrokerRefusal(topic?.topicErrorCode ?? codes.unknownTopicOrPartition, {
        topic: name,
        partition: 0,
      });
    return topic.partitionMetadata.length;
  }

  /** A topic beside need not exist. */
  #partitionsBeside(name: string): number {
    const topic = this.#cluster.topic(name);
    const isMissing = topic?.topicErrorCode === codes.unknownTopicOrPartition;
    return topic === undefined || isMissing ? 0 : this.#partitionsOf(name);
  }

  /** The next join begins a new generation, whatever else is unchanged. */
  askAnew(): void {
    this.#asked++;
  }

  async heartbeat(generation: GroupGeneration): Promise<void> {
    const { group: groupId, generationId: groupGenerationId, memberId } = generation;
    await this.#cluster.atCoordinator("group", groupId, (broker) =>
      this.#cluster.call(broker, "Heartbeat", { groupId, groupGenerationId, memberId }),
    );
  }

  /** The coordinator has dropped this member: the next join is a new one's. */
  forget(): void {
    this.#memberId = "";
  }

  /** Leaves for good, at whatever request of a join: none goes out any more, and the id that is on its way is waited for. */
  async close(deadlineMs: number): Promise<void> {
    this.#isClosed = true;
    // The join that failed says so itself.
    await this.#introduced.catch(() => undefined);
    await this.leave(deadlineMs);
  }

  /** So that the others need not wait for the session to expire. Again, while the coordinator moves. */
  async leave(deadlineMs: number): Promise<void> {
    if (this.#memberId === "") return;
    const { group } = this.#options;
    const memberId = this.#memberId;
    this.#memberId = "";
    await this.#cluster.retry(`leave group ${group}`, deadlineMs, () =>
      this.#cluster.atCoordinator("group", group, async (broker) => {
        const socket = this.#isJoining ? sockets.besideJoin : sockets.plain;
        const connection = await broker.connectionPool.getConnection(socket);
        const request = this.#cluster.built(broker, "LeaveGroup", { groupId: group, memberId });
        await connection.send(request);
      }),
    );
  }
}

const stopped = (group: string): DependencyError =>
  new DependencyError("MILL_KAFKA_UNAVAILABLE", `join group ${group}: the consumer is stopped`);
