// A member that is stopped at any moment of its start, or of a rebalance, is in no group afterwards.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as tick } from "node:timers/promises";
import type { Cluster } from "../../../../src/engine/clients/kafkajs/cluster.ts";
import { BrokerRefusal, codes } from "../../../../src/engine/clients/kafkajs/failures.ts";
import { KafkaGroupConsumer } from "../../../../src/engine/clients/kafkajs/group/group-consumer.ts";
import { encodeAssignments } from "../../../../src/engine/clients/kafkajs/group/member-data.ts";
import type { ConsumerHandlers, ConsumerOptions } from "../../../../src/engine/core/kafka.ts";
import { RecordingLog } from "../../../../src/engine/testing/doubles/recording-log.ts";
import { BatchBounds } from "../../../../src/engine/clients/kafkajs/protocol/records/batch-bounds.ts";

/** How many turns of the loop each step of the cluster takes. */
interface Paces {
  readonly request: number;
  readonly leave: number;
  readonly pause: number;
}

interface JoinGroup {
  readonly memberId: string;
  readonly groupProtocols: readonly { readonly metadata: Buffer }[];
}

/** One coordinator: gives ids first, refuses those that it does not know, and rebalances some times before it is at rest. */
class OneCoordinator {
  readonly members = new Set<string>();
  #metadata: Buffer = Buffer.alloc(0);
  readonly #pending = new Set<string>();
  readonly #paces: Paces;
  #rebalances: number;
  #ids = 0;
  #isClosed = false;

  constructor(paces: Paces, rebalances: number) {
    this.#paces = paces;
    this.#rebalances = rebalances;
  }

  want = (): void => undefined;
  refresh = (): Promise<void> => Promise.resolve();
  topic = (): unknown => ({ topicErrorCode: 0, partitionMetadata: [{}] });
  retry = <T>(_what: string, _deadlineMs: number, attempt: () => Promise<T>): Promise<T> =>
    attempt();

  async atCoordinator<T>(_kind: string, _id: string, work: (b: unknown) => Promise<T>): Promise<T> {
    await this.#passes(this.#paces.request);
    const send = (request: { memberId: string }): Promise<void> => this.#leave(request.memberId);
    return work({ connectionPool: { getConnection: () => Promise.resolve({ send }) } });
  }

  built = (_broker: unknown, _name: string, request: unknown): unknown => request;

  /** A request that has gone out reaches the coordinator, also when its client closes meanwhile. */
  async call(_broker: unknown, name: string, request: JoinGroup): Promise<unknown> {
    if (this.#isClosed) throw new Error("the client is closed");
    await this.#passes(this.#paces.request);
    if (name === "JoinGroup") return this.#join(request);
    const { memberId } = request;
    if (!this.members.has(memberId)) throw new BrokerRefusal(codes.unknownMemberId);
    if (name === "SyncGroup" && this.#rebalances-- > 0)
      throw new BrokerRefusal(codes.rebalanceInProgress);
    if (name !== "SyncGroup") return {};
    const members = [{ memberId, memberMetadata: this.#metadata }] as const;
    const [own] = encodeAssignments(members, new Map([["in", 1]]));
    return own;
  }

  #join({ memberId, groupProtocols }: JoinGroup): unknown {
    if (memberId === "") {
      const id = `m-${String(++this.#ids)}`;
      this.#pending.add(id);
      const needsId = Object.assign(new Error("with an id"), { name: "KafkaJSMemberIdRequired" });
      throw Object.assign(needsId, { memberId: id });
    }
    if (!this.#pending.delete(memberId) && !this.members.has(memberId))
      throw new BrokerRefusal(codes.unknownMemberId);
    this.members.add(memberId);
    this.#metadata = groupProtocols[0]?.metadata ?? this.#metadata;
    const members = [{ memberId, memberMetadata: this.#metadata }];
    return { generationId: 1, memberId, leaderId: memberId, members };
  }

  async #leave(memberId: string): Promise<void> {
    await this.#passes(this.#paces.leave);
    this.members.delete(memberId);
    this.#pending.delete(memberId);
    await this.#passes(this.#paces.leave);
  }

  pause = (): Promise<void> => this.#passes(this.#paces.pause);

  close = (): Promise<void> => {
    this.#isClosed = true;
    return Promise.resolve();
  };

  async #passes(turns: number): Promise<void> {
    for (let i = 0; i < turns; i++) await tick();
  }
}

const options: ConsumerOptions = {
  group: "g",
  topics: ["in"],
  identity: "me",
  maxBytes: 1,
  sessionTimeoutMs: 10_000,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 10_000,
};

const handlers: ConsumerHandlers = {
  onAssigned: () => Promise.resolve(),
  onRevoked: () => Promise.resolve(),
  onBatch: () => undefined,
  onOutOfRange: () => undefined,
  onUnreadable: () => undefined,
  onRefused: () => undefined,
  onFatal: () => undefined,
};

/** The members that are left when it is stopped after so many turns. */
async function leftAfter(turns: number, paces: Paces, rebalances: number): Promise<string[]> {
  const cluster = new OneCoordinator(paces, rebalances);
  const log = new RecordingLog();
  const consumer = new KafkaGroupConsumer(
    cluster as unknown as Cluster,
    options,
    log,
    new BatchBounds(),
  );
  const started = consumer.start(handlers);
  for (let i = 0; i < turns; i++) await tick();
  await consumer.stop();
  await started.catch(() => undefined);
  for (let i = 0; i < 100; i++) await tick();
  return [...cluster.members];
}

const allPaces: readonly Paces[] = [
  { request: 1, leave: 1, pause: 1 },
  { request: 3, leave: 1, pause: 2 },
  { request: 1, leave: 9, pause: 2 },
  { request: 2, leave: 5, pause: 12 },
];

for (const rebalances of [0, 1, 3])
  test(`stopped at any moment of a start with ${String(rebalances)} rebalances, it is in no group`, async () => {
    for (const paces of allPaces)
      for (let turns = 0; turns < 60; turns++) {
        const left = await leftAfter(turns, paces, rebalances);
        assert.deepEqual(left, [], `after ${String(turns)} turns of ${JSON.stringify(paces)}`);
      }
  });
