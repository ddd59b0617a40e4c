// Topics, offsets and groups for tools and take-overs. Every call is bounded by a deadline, so that a command says that
// Kafka is away instead of waiting for it.
import type {
  AdminPort,
  CommittedOffset,
  GroupDescription,
  StartOffset,
  TopicDescription,
  TopicSpec,
  Watermarks,
} from "../../core/kafka.ts";
import { DependencyError, MillraceError } from "../../core/errors.ts";
import type { GroupId, TopicName, TopicPartition } from "../../core/record.ts";
import type { Cluster } from "./cluster.ts";
import { BrokerRefusal, codeOf, codes } from "./failures.ts";
import { lookUpOffsets } from "./offset-lookup.ts";
import type { DriverBroker, TopicMetadata } from "./overrides/driver.ts";
import { ends } from "./protocol/list-offsets.ts";
import { offsetFetchRequest } from "./protocol/offsets.ts";
import { topicConfigRequest } from "./protocol/topic-config.ts";

const topicResource = 2;
/** How long the broker itself may take over making or deleting topics. */
const brokerTimeoutMs = 5_000;
/** An open transaction may hold a group's offsets until it times out; brokers allow that 15 minutes at most. */
const stableDeadlineMs = 120_000;

interface ConfigAnswer {
  readonly resources: readonly {
    readonly resourceName: string;
    readonly configEntries: readonly {
      readonly configName: string;
      readonly configValue: string | null;
    }[];
  }[];
}

export class KafkaAdmin implements AdminPort {
  readonly #cluster: Cluster;
  readonly #deadlineMs: number;

  constructor(cluster: Cluster, deadlineMs: number) {
    this.#cluster = cluster;
    this.#deadlineMs = deadlineMs;
  }

  #retry<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.#cluster.retry({ deadlineMs: this.#deadlineMs, what }, work);
  }

  /** Asks for exactly these topics, or for all. */
  async #metadata(topics: readonly TopicName[]): Promise<readonly TopicMetadata[]> {
    const broker = await this.#cluster.anyBroker();
    const options = { topics, allowAutoTopicCreation: false };
    const answer = await this.#cluster.call<{ topicMetadata: TopicMetadata[] }>(
      broker,
      "Metadata",
      options,
    );
    return answer.topicMetadata;
  }

  async describeTopics(
    topics: readonly TopicName[],
  ): Promise<ReadonlyMap<TopicName, TopicDescription | null>> {
    if (topics.length === 0) return new Map();
    return this.#retry("describe topics", async () => {
      const found = (await this.#metadata(topics)).filter(isThere);
      const configs = await this.#configs(found.map((topic) => topic.topic));
      const described = new Map<TopicName, TopicDescription | null>();
      for (const name of topics) {
        const topic = found.find((candidate) => candidate.topic === name);
        described.set(name, topic === undefined ? null : describe(topic, configs));
      }
      return described;
    });
  }

  async #configs(
    topics: readonly TopicName[],
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    if (topics.length === 0) return new Map();
    const broker = await this.#cluster.anyBroker();
    const resources = topics.map((name) => ({ type: topicResource, name, configNames: [] }));
    const answer = await this.#cluster.call<ConfigAnswer>(broker, "DescribeConfigs", {
      resources,
      includeSynonyms: false,
    });
    return new Map(
      answer.resources.map(({ resourceName, configEntries }) => [
        resourceName,
        Object.fromEntries(
          configEntries.flatMap(({ configName, configValue }) =>
            configValue === null ? [] : [[configName, configValue]],
          ),
        ),
      ]),
    );
  }

  listTopics(): Promise<readonly TopicName[]> {
    return this.#retry("list topics", async () => {
      const topics = await this.#metadata([]);
      return topics.filter((topic) => isThere(topic) && !topic.isInternal).map(({ topic }) => topic);
    });
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const spec of topics)
      await this.#retry(`create topic ${spec.topic}`, () => this.#createTopic(spec));
    await this.#retry("wait for new topics", async () => {
      const found = topics.length === 0 ? [] : await this.#metadata(topics.map((t) => t.topic));
      if (!found.every(hasLeaders)) throw new BrokerRefusal(codes.leaderNotAvailable);
    });
  }

  async #createTopic(spec: TopicSpec): Promise<void> {
    const { topic, partitions: numPartitions, replicationFactor, config } = spec;
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    const broker = await this.#cluster.anyBroker();
    await this.#cluster
      .call(broker, "CreateTopics", {
        topics: [{ topic, numPartitions, replicationFactor, configEntries }],
        validateOnly: false,
        timeout: brokerTimeoutMs,
      })
      .catch((error: unknown) => {
        if (codeOf(error) !== codes.topicAlreadyExists) throw error;
      });
  }

  async alterTopicConfig(
    topic: TopicName,
    config: Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.#retry(`alter topic ${topic}`, async () => {
      const broker = await this.#cluster.anyBroker();
      const answer = await this.#cluster.send(broker, topicConfigRequest(topic, config));
      if (answer.errorCode !== 0) throw new BrokerRefusal(answer.errorCode);
    });
  }

  async deleteTopics(topics: readonly TopicName[]): Promise<void> {
    for (const topic of topics)
      await this.#retry(`delete topic ${topic}`, async () => {
        if (!(await this.#metadata([topic])).some(isThere)) return;
        const broker = await this.#cluster.anyBroker();
        await this.#cluster.call(broker, "DeleteTopics", {
          topics: [topic],
          timeout: brokerTimeoutMs,
        });
        const isGone = !(await this.#metadata([topic])).some(isThere);
        if (!isGone) throw new BrokerRefusal(codes.leaderNotAvailable);
      });
  }

  async #partitions(topic: TopicName): Promise<TopicPartition[]> {
    const [found] = await this.#metadata([topic]);
    if (found === undefined || !isThere(found))
      throw new MillraceError("MILL_TOPIC_MISSING", topic, { where: { topic } });
    this.#cluster.want([topic]);
    await this.#cluster.refreshIfOld();
    return found.partitionMetadata
      .map(({ partitionId }) => ({ topic, partition: partitionId }))
      .sort((a, b) => a.partition - b.partition);
  }

  watermarks(topic: TopicName): Promise<readonly Watermarks[]> {
    return this.#retry(`watermarks of ${topic}`, async () => {
      const partitions = await this.#partitions(topic);
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
      const partitions = await this.#partitions(topic);
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
          const code =
            answer.errorCode || (answer.offsets.find((at) => at.errorCode !== 0)?.errorCode ?? 0);
          if (code !== 0) throw new BrokerRefusal(code);
          return inOrder(partitions, answer.offsets);
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

const isThere = (topic: TopicMetadata): boolean =>
  topic.topicErrorCode !== codes.unknownTopicOrPartition;

const hasLeaders = (topic: TopicMetadata): boolean =>
  topic.topicErrorCode === 0 && topic.partitionMetadata.every((partition) => partition.leader >= 0);

const describe = (
  topic: TopicMetadata,
  configs: ReadonlyMap<string, Readonly<Record<string, string>>>,
): TopicDescription => ({
  topic: topic.topic,
  partitions: topic.partitionMetadata.length,
  replicationFactor: topic.partitionMetadata[0]?.replicas.length ?? 0,
  config: configs.get(topic.topic) ?? {},
});

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

async function describeGroup(
  cluster: Cluster,
  broker: DriverBroker,
  group: GroupId,
): Promise<GroupDescription> {
  const answer = await cluster.call<{
    groups: { state: string; members: { memberId: string; clientHost: string }[] }[];
  }>(broker, "DescribeGroups", { groupIds: [group] });
  const [found] = answer.groups;
  if (found === undefined)
    throw new DependencyError("MILL_KAFKA_REFUSED", `group ${group} was not described`);
  const members = found.members.map(({ memberId, clientHost }) => ({ memberId, host: clientHost }));
  return { group, state: found.state, members };
}
