// Describes, makes, alters and deletes topics. Each call is repeated under its deadline.
import type { ConfigSource, TopicDescription, TopicSpec } from "../../../core/kafka.ts";
import { MillraceError, notMadeYet } from "../../../core/errors.ts";
import type { TopicName, TopicPartition } from "../../../core/record.ts";
import { MESSAGE_BYTES_MAX } from "../../../core/topic-config.ts";
import type { Cluster } from "../cluster.ts";
import { BrokerRefusal, codeOf, codes, translate } from "../failures.ts";
import type { KafkaRight, Work } from "../rights.ts";
import type { TopicMetadata } from "../overrides/driver.ts";
import type { BatchBounds } from "../protocol/records/batch-bounds.ts";
import type { ProtocolRequest } from "../protocol/request.ts";
import { topicConfigRequest } from "../protocol/topic-config.ts";
import { topicIdsRequest } from "../protocol/topic-ids.ts";

const topicResource = 2;
/** The time that the broker itself may take over making or deleting topics. */
const brokerTimeoutMs = 5_000;

interface DescribedConfigs {
  readonly resources: readonly {
    readonly errorCode: number;
    readonly resourceName: string;
    readonly configEntries: readonly {
      readonly configName: string;
      readonly configValue: string | null;
      /** KIP-226. */
      readonly configSource?: number;
    }[];
  }[];
}

export class TopicAdmin {
  protected readonly cluster: Cluster;
  protected readonly deadlineMs: number;

  readonly #bounds: BatchBounds;

  constructor(cluster: Cluster, deadlineMs: number, bounds: BatchBounds) {
    this.cluster = cluster;
    this.deadlineMs = deadlineMs;
    this.#bounds = bounds;
  }

  protected retry<T>(of: string | Work, work: () => Promise<T>): Promise<T> {
    return this.cluster.retry(of, this.deadlineMs, work);
  }

  /** Asks for exactly these topics, or for all. */
  async #metadata(topics: readonly TopicName[]): Promise<readonly TopicMetadata[]> {
    const broker = await this.cluster.anyBroker();
    const options = { topics, allowAutoTopicCreation: false };
    const answer = await this.cluster.call<{ topicMetadata: TopicMetadata[] }>(
      broker,
      "Metadata",
      options,
    );
    const forbidden = answer.topicMetadata.find(isForbidden);
    if (forbidden === undefined) return answer.topicMetadata;
    // Nobody may know whether it exists.
    throw new BrokerRefusal(codes.topicAuthorizationFailed, {
      topic: forbidden.topic,
      partition: 0,
    });
  }

  async describeTopics(
    topics: readonly TopicName[],
  ): Promise<ReadonlyMap<TopicName, TopicDescription | null>> {
    if (topics.length === 0) return new Map();
    return this.retry({ what: "describe topics", right: "Describe" }, async () => {
      const found = (await this.#metadata(topics)).filter(isThere);
      const names = found.map((topic) => topic.topic);
      const configs = await this.#configs(names);
      for (const [name, { config }] of configs)
        this.#bounds.learn(name, Number(config[MESSAGE_BYTES_MAX] ?? 0));
      const ids = await this.#ids(names);
      const described = new Map<TopicName, TopicDescription | null>();
      for (const name of topics) described.set(name, null);
      for (const { topic, partitionMetadata } of found)
        described.set(topic, {
          topic,
          id: ids.get(topic) ?? "",
          partitions: partitionMetadata.length,
          replicationFactor: partitionMetadata[0]?.replicas.length ?? 0,
          ...(configs.get(topic) ?? { config: {} }),
        });
      return described;
    });
  }

  async #ids(topics: readonly TopicName[]): Promise<ReadonlyMap<string, string>> {
    if (topics.length === 0) return new Map();
    const ids = await this.cluster.send(await this.cluster.anyBroker(), topicIdsRequest(topics));
    // A topic was deleted, or this broker has not heard of it yet: the next attempt finds out.
    if (topics.some((name) => !ids.has(name))) throw new BrokerRefusal(codes.leaderNotAvailable);
    return ids;
  }

  async #configs(topics: readonly TopicName[]): Promise<ReadonlyMap<string, TopicSettings>> {
    if (topics.length === 0) return new Map();
    const broker = await this.cluster.anyBroker();
    const resources = topics.map((name) => ({ type: topicResource, name, configNames: [] }));
    const { resources: described } = await this.cluster.send(
      broker,
      answeredApart(
        this.cluster.built<DescribedConfigs>(broker, "DescribeConfigs", {
          resources,
          includeSynonyms: false,
        }),
      ),
    );
    const refused = described.find(({ errorCode }) => errorCode !== 0);
    if (refused !== undefined) throw refusedConfigs(refused);
    return new Map(
      described.map(({ resourceName, configEntries }) => [resourceName, settingsOf(configEntries)]),
    );
  }

  listTopics(): Promise<readonly TopicName[]> {
    return this.retry("list topics", async () => {
      const topics = await this.#metadata([]);
      return topics
        .filter((topic) => isThere(topic) && !topic.isInternal)
        .map(({ topic }) => topic);
    });
  }

  async createTopics(topics: readonly TopicSpec[]): Promise<void> {
    for (const spec of topics)
      await this.retry(altering("create", spec.topic, "Create"), () => this.#createTopic(spec));
    await this.retry({ what: "wait for new topics", right: "Describe" }, async () => {
      const found = topics.length === 0 ? [] : await this.#metadata(topics.map((t) => t.topic));
      if (!found.every(hasLeaders)) throw new BrokerRefusal(codes.leaderNotAvailable);
    });
  }

  async #createTopic(spec: TopicSpec): Promise<void> {
    const { topic, partitions: numPartitions, replicationFactor, config } = spec;
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    const broker = await this.cluster.anyBroker();
    await this.cluster
      .call(broker, "CreateTopics", {
        topics: [{ topic, numPartitions, replicationFactor, configEntries }],
        validateOnly: false,
        timeout: brokerTimeoutMs,
      })
      .catch((error: unknown) => {
        if (codeOf(error) !== codes.topicAlreadyExists) throw error;
      });
  }

  async addPartitions(topic: TopicName, partitions: number): Promise<void> {
    await this.retry(altering("add partitions to", topic, "Alter"), async () => {
      if (await this.#isAsWide(topic, partitions)) return;
      const broker = await this.cluster.anyBroker();
      const topicPartitions = [{ topic, count: partitions }];
      await this.cluster
        .call(broker, "CreatePartitions", { topicPartitions, timeout: brokerTimeoutMs })
        .catch((error: unknown) => {
          // As wide already: the broker that described the topic lags behind its controller.
          if (codeOf(error) !== codes.invalidPartitions) throw error;
        });
      if (!(await this.#isAsWide(topic, partitions)))
        throw new BrokerRefusal(codes.leaderNotAvailable);
    });
  }

  async #isAsWide(topic: TopicName, partitions: number): Promise<boolean> {
    const [found] = await this.#metadata([topic]);
    return found !== undefined && hasLeaders(found) && found.partitionMetadata.length >= partitions;
  }

  async alterTopicConfig(
    topic: TopicName,
    config: Readonly<Record<string, string>>,
  ): Promise<void> {
    await this.retry(altering("alter", topic, "AlterConfigs"), async () => {
      const broker = await this.cluster.anyBroker();
      const code = await this.cluster.send(broker, topicConfigRequest(topic, config));
      if (code !== 0) throw new BrokerRefusal(code);
    });
  }

  async deleteTopics(topics: readonly TopicName[]): Promise<void> {
    for (const topic of topics)
      await this.retry(altering("delete", topic, "Delete"), async () => {
        if (!(await this.#metadata([topic])).some(isThere)) return;
        const broker = await this.cluster.anyBroker();
        await this.cluster.call(broker, "DeleteTopics", {
          topics: [topic],
          timeout: brokerTimeoutMs,
        });
        const isGone = !(await this.#metadata([topic])).some(isThere);
        if (!isGone) throw new BrokerRefusal(codes.leaderNotAvailable);
      });
  }

  /** Makes one attempt; throws MILL_TOPIC_MISSING. */
  protected async partitions(topic: TopicName): Promise<TopicPartition[]> {
    const [found] = await this.#metadata([topic]);
    if (found === undefined || !isThere(found))
      throw new MillraceError("MILL_TOPIC_MISSING", notMadeYet(topic), { where: { topic } });
    this.cluster.want([topic]);
    await this.cluster.refreshIfOld();
    return found.partitionMetadata
      .map(({ partitionId }) => ({ topic, partition: partitionId }))
      .sort((a, b) => a.partition - b.partition);
  }
}

const altering = (verb: string, topic: TopicName, right: KafkaRight): Work => ({
  what: `${verb} topic ${topic}`,
  topic,
  right,
});

/** kafkajs would throw the error of one topic without its name. */
const answeredApart = <T>(request: ProtocolRequest<T>): ProtocolRequest<T> => ({
  ...request,
  response: { ...request.response, parse: (data) => Promise.resolve(data as T) },
});

function refusedConfigs({
  errorCode,
  resourceName: topic,
}: DescribedConfigs["resources"][number]): unknown {
  const refusal = new BrokerRefusal(errorCode, { topic, partition: 0 });
  return translate(refusal, { what: "describe topics", right: "DescribeConfigs" });
}

const isThere = (topic: TopicMetadata): boolean =>
  topic.topicErrorCode !== codes.unknownTopicOrPartition;

const isForbidden = (topic: TopicMetadata): boolean =>
  topic.topicErrorCode === codes.topicAuthorizationFailed;

const hasLeaders = (topic: TopicMetadata): boolean =>
  topic.topicErrorCode === 0 && topic.partitionMetadata.every((partition) => partition.leader >= 0);

type TopicSettings = Required<Pick<TopicDescription, "config" | "sources">>;

function settingsOf(
  entries: DescribedConfigs["resources"][number]["configEntries"],
): TopicSettings {
  const set = entries.filter(({ configValue }) => configValue !== null);
  return {
    config: Object.fromEntries(set.map((entry) => [entry.configName, entry.configValue ?? ""])),
    sources: Object.fromEntries(set.map((e) => [e.configName, sourceOf(e.configSource)])),
  };
}

/** 1 is the topic's own; 2 to 4 are settings of brokers; 5 is Kafka's default. */
const sourceOf = (code = 5): ConfigSource =>
  code === 1 ? "topic" : code >= 2 && code <= 4 ? "broker" : "default";
