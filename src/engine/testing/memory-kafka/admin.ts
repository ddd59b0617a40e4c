// The admin client over the cluster in memory.
import { FencedError, MillraceError } from "../../core/errors.ts";
import type {
  AdminPort,
  CommittedOffset,
  CommittedOptions,
  GroupDescription,
  Progress,
  StartOffset,
  TopicDescription,
  TopicSpec,
  Watermarks,
} from "../../core/kafka.ts";
import type { GroupId, TopicName, TopicPartition } from "../../core/record.ts";
import type { Connection } from "./connection.ts";

export class MemoryAdmin implements AdminPort {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  describeTopics(
    topics: readonly TopicName[],
  ): Promise<ReadonlyMap<TopicName, TopicDescription | null>> {
    return this.#ask(
      ({ topics: stored }) => new Map(topics.map((name) => [name, stored.describe(name)])),
    );
  }

  listTopics(): Promise<readonly TopicName[]> {
    return this.#ask(({ topics }) => topics.names());
  }

  createTopics(topics: readonly TopicSpec[]): Promise<void> {
    return this.#change(({ topics: stored }) => {
      for (const spec of topics) stored.create(spec);
    });
  }

  addPartitions(topic: TopicName, partitions: number): Promise<void> {
    return this.#change(({ topics }) => topics.widen(topic, partitions));
  }

  alterTopicConfig(topic: TopicName, config: Readonly<Record<string, string>>): Promise<void> {
    return this.#change(({ topics }) => topics.alter(topic, config));
  }

  deleteTopics(topics: readonly TopicName[]): Promise<void> {
    return this.#change(({ topics: stored, offsets }) => {
      for (const topic of topics) {
        stored.delete(topic);
        offsets.forgetTopic(topic);
      }
    });
  }

  watermarks(topic: TopicName): Promise<readonly Watermarks[]> {
    return this.#ask(({ topics }) =>
      topics.logs(topic).map((log) => ({ ...log.at, low: log.start, high: log.highWatermark })),
    );
  }

  stableEnds(partitions: readonly TopicPartition[]): Promise<readonly StartOffset[]> {
    return this.#ask(({ topics }) =>
      partitions.map((at) => ({ ...at, nextOffset: topics.log(at).lastStableOffset })),
    );
  }

  offsetsByTime(topic: TopicName, timestampMs: number): Promise<readonly StartOffset[]> {
    return this.#ask(({ topics }) =>
      topics.logs(topic).map((log) => ({ ...log.at, nextOffset: log.offsetByTime(timestampMs) })),
    );
  }

  committed(
    group: GroupId,
    partitions: readonly TopicPartition[],
    options: CommittedOptions,
  ): Promise<readonly CommittedOffset[]> {
    const { access, wire, offsets } = this.#connection;
    return wire.call("committed", async () => {
      access.checkProgress(group, []);
      while (options.stable && !offsets.isStable(group, partitions))
        await wire.conditions.changes.wait();
      return offsets.fetch(group, partitions);
    });
  }

  commitOffsets(group: GroupId, progress: readonly Progress[]): Promise<void> {
    return this.#change(({ groups, offsets }) => {
      if (groups.describe(group).members.length > 0)
        throw new FencedError("MILL_KAFKA_FENCED", `set progress of ${group}: UNKNOWN_MEMBER_ID`);
      offsets.commit(group, progress);
    });
  }

  deleteRecords(below: readonly StartOffset[]): Promise<void> {
    return this.#change(({ topics }) => {
      const wanted = below.map((one) => ({ log: topics.log(one), nextOffset: one.nextOffset }));
      const beyond = wanted.find(({ log, nextOffset }) => nextOffset > log.highWatermark);
      if (beyond !== undefined)
        throw new MillraceError("MILL_KAFKA_REFUSED", "OFFSET_OUT_OF_RANGE", {
          where: beyond.log.at,
        });
      for (const { log, nextOffset } of wanted) log.deleteBelow(nextOffset);
    });
  }

  listGroups(): Promise<readonly GroupId[]> {
    return this.#ask(({ groups, offsets }) =>
      [...new Set([...groups.names(), ...offsets.groups()])].sort(),
    );
  }

  describeGroup(group: GroupId): Promise<GroupDescription> {
    return this.#ask(({ groups, offsets }) => {
      const described = groups.describe(group);
      const isKnown = described.state !== "Dead" || offsets.groups().includes(group);
      return isKnown && described.state === "Dead" ? { ...described, state: "Empty" } : described;
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #ask<T>(answer: (connection: Connection) => T): Promise<T> {
    return this.#connection.wire.call("admin", () => answer(this.#connection));
  }

  async #change(change: (connection: Connection) => void): Promise<void> {
    await this.#ask(change);
    this.#connection.wire.conditions.changes.raise();
  }
}
