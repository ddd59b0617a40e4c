// A client's own view of the cluster: its connections, the leader of a partition, the coordinator of a group or a
// transactional id. Each consumer, producer, reader and admin has one of its own, so none waits behind another. Retries
// are here, each under a deadline: kafkajs itself is set to try only a little.
import { setTimeout as delay } from "node:timers/promises";
import { DependencyError, type MillraceError } from "../../core/errors.ts";
import type { TopicPartition } from "../../core/record.ts";
import { BrokerRefusal, codes, isCoordinatorGone, translate, UnknownOutcome } from "./failures.ts";
import {
  loadDriver,
  type ClusterMetadata,
  type Driver,
  type DriverBroker,
  type DriverCluster,
  type TopicMetadata,
} from "./overrides/driver.ts";
import type { ProtocolRequest } from "./protocol/request.ts";
import { workOf, type Work } from "./rights.ts";
import type { Sockets } from "./sockets.ts";

export type CoordinatorKind = "group" | "transaction";

const SLOW_MS = 800;
/** An election, or a leader that is not known yet, is over sooner: nobody needs to hear of it. */
const HICCUP_MS = 400;
const backoff = { firstMs: 5, maxMs: 500, factor: 1.6 } as const;
const groupCoordinator = 0;
const transactionCoordinator = 1;
/** Leaders that are this old are asked for again, so that a new partition or broker is seen. */
const metadataAgeMaxMs = 30_000;

export class Cluster {
  readonly #driver: Driver;
  readonly #inner: DriverCluster;
  readonly #sockets: Sockets;
  readonly #coordinators = new Map<string, number>();
  readonly #closing = new AbortController();
  #refreshedAt = -Infinity;
  #refreshing: Promise<void> | null = null;

  /** Called with the error behind each attempt that is to be repeated, and with none that comes in time. */
  readonly #onRetry: (error: MillraceError) => void;

  constructor(
    settings: Readonly<Record<string, unknown>>,
    sockets: Sockets,
    onRetry: (error: MillraceError) => void = () => undefined,
  ) {
    this.#driver = loadDriver();
    this.#sockets = sockets;
    this.#onRetry = onRetry;
    this.#inner = new this.#driver.Cluster({ ...settings, socketFactory: sockets.open });
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Adds topics whose leaders are wanted. */
  want(topics: Iterable<string>): void {
    const known = this.#inner.targetTopics.size;
    for (const topic of topics) this.#inner.targetTopics.add(topic);
    if (this.#inner.targetTopics.size > known) this.#refreshedAt = -Infinity;
  }

  /** Asks for metadata now; callers at the same time share one request. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    await this.#inner.connect();
    await this.#inner.refreshMetadata();
    this.#refreshedAt = performance.now();
  }

  async refreshIfOld(): Promise<void> {
    if (performance.now() - this.#refreshedAt > metadataAgeMaxMs) await this.refresh();
  }

  get metadata(): ClusterMetadata {
    return this.#inner.brokerPool.metadata ?? { brokers: [], topicMetadata: [] };
  }

  topic(name: string): TopicMetadata | undefined {
    return this.metadata.topicMetadata.find((topic) => topic.topic === name);
  }

  /** The leader's id as last heard, or null. */
  leaderId(at: TopicPartition): number | null {
    const leader = leaderIn(this.metadata, at) ?? -1;
    return leader < 0 ? null : leader;
  }

  /** The reason why `leaderId` is null. */
  leaderless(at: TopicPartition): BrokerRefusal {
    const topic = this.topic(at.topic);
    const isThere = topic?.partitionMetadata.some((found) => found.partitionId === at.partition);
    const unknown = isThere === false ? codes.unknownTopicOrPartition : codes.leaderNotAvailable;
    return new BrokerRefusal(topic?.topicErrorCode || unknown, at);
  }

  /** Throws a refusal when nobody leads the partition. */
  leader(at: TopicPartition): Promise<DriverBroker> {
    const nodeId = this.leaderId(at);
    return nodeId === null ? Promise.reject(this.leaderless(at)) : this.broker(nodeId);
  }

  broker(nodeId: number): Promise<DriverBroker> {
    return this.#inner.findBroker({ nodeId });
  }

  /** Asks for the leaders after a refusal, since the next attempt needs them; if that fails, the next attempt says so. */
  async afterRefusal(error: unknown): Promise<unknown> {
    if (error instanceof BrokerRefusal) await this.refresh().catch(() => undefined);
    return error;
  }

  async anyBroker(): Promise<DriverBroker> {
    await this.#inner.connect();
    return this.#inner.brokerPool.findConnectedBroker();
  }

  /** Sends a request of ours. */
  send<T>(broker: DriverBroker, request: ProtocolRequest<T>): Promise<T> {
    const { apiKey, apiVersion } = request.request;
    const versionMax = broker.versions?.[apiKey]?.maxVersion ?? apiVersion;
    if (versionMax < apiVersion) return Promise.reject(new BrokerRefusal(35));
    return broker.connectionPool.send(request);
  }

  /** Builds a request of kafkajs in the best version that the broker has too, and sends it. */
  call<T>(broker: DriverBroker, api: string, options: unknown): Promise<T> {
    return this.send<T>(broker, this.built(broker, api, options));
  }

  built<T>(broker: DriverBroker, api: string, options: unknown): ProtocolRequest<T> {
    const { requests, apiKeys } = this.#driver;
    const definition = requests[api];
    const key = apiKeys[api];
    if (definition === undefined || key === undefined) throw new BrokerRefusal(35);
    return broker.lookupRequest(key, definition)(options) as ProtocolRequest<T>;
  }

  async coordinator(kind: CoordinatorKind, id: string): Promise<DriverBroker> {
    const key = `${kind} ${id}`;
    const known = this.#coordinators.get(key);
    if (known !== undefined) return this.broker(known);
    const nodeId = await this.#findCoordinator(await this.anyBroker(), kind, id);
    if (!this.metadata.brokers.some((broker) => broker.nodeId === nodeId)) await this.refresh();
    const found = await this.broker(nodeId);
    this.#coordinators.set(key, nodeId);
    return found;
  }

  /**
   * Throws a refusal when another broker names another coordinator. A broker that stood still (a pause of its machine) answers
   * what has waited in its sockets from what it knew before, until it hears that it was deposed.
   */
  async confirmCoordinator(kind: CoordinatorKind, id: string): Promise<void> {
    const key = `${kind} ${id}`;
    const nodeId = this.#coordinators.get(key);
    const named = await this.#witnessed(nodeId, (witness) =>
      this.#findCoordinator(witness, kind, id),
    );
    if (named === null || named === nodeId) return;
    throw new BrokerRefusal(codes.notCoordinator);
  }

  /** Throws a refusal when another broker names another leader of one of these partitions, which `leader` leads. */
  async confirmLeader(leader: number, partitions: readonly TopicPartition[]): Promise<void> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))];
    const seen = await this.#witnessed(leader, (witness) =>
      this.call<ClusterMetadata>(witness, "Metadata", { topics, allowAutoTopicCreation: false }),
    );
    const deposed =
      seen === null ? undefined : partitions.find((at) => leaderIn(seen, at) !== leader);
    if (deposed !== undefined) throw new BrokerRefusal(codes.notLeader, deposed);
  }

  /** The first answer of a broker that is not this one; null when no other answers. */
  #witnessed<T>(
    nodeId: number | undefined,
    ask: (witness: DriverBroker) => Promise<T>,
  ): Promise<T | null> {
    const others = this.metadata.brokers.filter((broker) => broker.nodeId !== nodeId);
    const answers = others.map(async (other) => ask(await this.broker(other.nodeId)));
    return Promise.any(answers).catch(() => null);
  }

  async #findCoordinator(asked: DriverBroker, kind: CoordinatorKind, id: string): Promise<number> {
    const coordinatorType = kind === "group" ? groupCoordinator : transactionCoordinator;
    const options = { groupId: id, coordinatorType };
    const answer = await this.call<Found>(asked, "GroupCoordinator", options);
    return answer.coordinator.nodeId;
  }

  /**
   * Calls the coordinator, found anew when it has moved. With `isRepeatable` false a lost answer is final: the request
   * may still arrive later, in another transaction (KIP-890), so a second one must not follow it.
   */
  async atCoordinator<T>(
    kind: CoordinatorKind,
    id: string,
    work: (broker: DriverBroker) => Promise<T>,
    isRepeatable = true,
  ): Promise<T> {
    let sent = false;
    try {
      const broker = await this.coordinator(kind, id);
      sent = true;
      return await work(broker);
    } catch (error) {
      if (isCoordinatorGone(error)) this.#coordinators.delete(`${kind} ${id}`);
      const isDefinite = isRepeatable || !sent || isAnswer(error);
      throw isDefinite ? error : new UnknownOutcome(error);
    }
  }

  /**
   * Repeats `attempt` while its failures are transient and the deadline allows; throws ours. `of` names the work in an
   * error: "send to orders-3".
   */
  async retry<T>(of: string | Work, deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const end = begin + deadlineMs;
    for (
      let waitMs: number = backoff.firstMs;
      ;
      waitMs = Math.min(waitMs * backoff.factor, backoff.maxMs)
    ) {
      try {
        return await this.#observed(workOf(of).what, attempt);
      } catch (error) {
        const failure = translate(error, of);
        const isFinal =
          failure.disposition !== "retry" ||
          failure.code !== "MILL_KAFKA_UNAVAILABLE" ||
          error instanceof UnknownOutcome;
        if (isFinal || this.isClosed || performance.now() + waitMs > end) throw failure;
        if (performance.now() - begin > HICCUP_MS) this.#onRetry(failure);
        await this.pause(waitMs);
      }
    }
  }

  /** A broker that swallows packets gives no error for seconds; somebody may want to know before. */
  async #observed<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const slow = (): void =>
      this.#onRetry(new DependencyError("MILL_KAFKA_UNAVAILABLE", `${what}: no answer yet`));
    const timer = setTimeout(slow, SLOW_MS);
    return attempt().finally(() => clearTimeout(timer));
  }

  /** Waits, less when the client is closed meanwhile. */
  async pause(ms: number): Promise<void> {
    const signal = this.#closing.signal;
    await delay(ms * (0.8 + Math.random() * 0.4), undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  /** Rejects what is under way and closes the sockets. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#sockets.refuse();
    await this.#inner.disconnect();
    this.#sockets.close();
  }
}

interface Found {
  readonly coordinator: { readonly nodeId: number };
}

const leaderIn = ({ topicMetadata }: ClusterMetadata, at: TopicPartition): number | undefined =>
  topicMetadata
    .find(({ topic }) => topic === at.topic)
    ?.partitionMetadata.find(({ partitionId }) => partitionId === at.partition)?.leader;

const isAnswer = (error: unknown): boolean =>
  error instanceof BrokerRefusal || (error as Partial<Error>).name === "KafkaJSProtocolError";
