// A broker stands still while another takes its roles over, then goes on: for a moment it answers what waits in its sockets
// from what it knew before. Progress and ends from such an answer would make records count twice, or hide them.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { AdminPort, GroupGeneration } from "../../src/engine/core/kafka.ts";
import { Cluster } from "../chaos/world/cluster.ts";
import { javaHash } from "../chaos/world/cluster-roles.ts";
import { Home } from "../chaos/world/home.ts";
import { Member } from "../contract/kafka-port/world.ts";
import { eventually } from "../support/eventually.ts";
import { KafkaFixture, record } from "../support/kafka.ts";

interface Driver {
  Kafka: new (options: object) => {
    admin(): {
      connect(): Promise<void>;
      disconnect(): Promise<void>;
      fetchTopicMetadata(what: { topics: string[] }): Promise<{
        topics: { partitions: { partitionId: number; leader: number }[] }[];
      }>;
    };
  };
  logLevel: { NOTHING: number };
}

/** The leader of each partition, by those brokers that do not stand still. */
async function leadersOf(cluster: Cluster, topic: string): Promise<number[]> {
  const { Kafka, logLevel } = createRequire(import.meta.url)("kafkajs") as Driver;
  const brokers = cluster.awake;
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING, clientId: "test" }).admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const all = topics[0]?.partitions ?? [];
    return all.sort((a, b) => a.partitionId - b.partitionId).map(({ leader }) => leader);
  } finally {
    await admin.disconnect();
  }
}

async function coordinatorOf(cluster: Cluster, group: string): Promise<number> {
  const leaders = await leadersOf(cluster, "__consumer_offsets");
  return leaders[Math.abs(javaHash(group)) % leaders.length] ?? -1;
}

/** Until the cluster has put another broker in its place. */
const replaced = (of: () => Promise<number>, broker: number): Promise<number> =>
  eventually(
    "another broker",
    () =>
      of().then(
        (now) => (now > 0 && now !== broker ? now : null),
        () => null,
      ),
    60_000,
  );

test(
  "a broker that was deposed while it stood still is not believed",
  { timeout: 280_000 },
  async (t) => {
    const home = new Home();
    t.after(() => home.close());
    const cluster = await Cluster.start(home, 3);
    const kafka = await KafkaFixture.for(t, cluster.addresses);
    const topic = await kafka.topic();
    const at = { topic, partition: 0 };
    const progress = (nextOffset: bigint) => [{ ...at, nextOffset, metadata: "" }];
    /** Of those brokers that do not stand still. */
    const awake = (): Promise<KafkaFixture> => KafkaFixture.for(t, cluster.awake.join(","));
    /** Asked before, so that it has found its coordinators and leaders. */
    const knowing: AdminPort = kafka.port().admin();

    /** Has the broker stand still, lets others work on, asks, and lets it go on. */
    const asked = async <T>(
      of: () => Promise<number>,
      work: () => Promise<unknown>,
      ask: () => Promise<T>,
    ): Promise<T> => {
      const broker = await of();
      cluster.signal(broker, "SIGSTOP");
      try {
        await replaced(of, broker);
        await work();
        const answer = ask();
        await delay(1_000);
        cluster.signal(broker, "SIGCONT");
        return await answer;
      } finally {
        cluster.signal(broker, "SIGCONT");
        await eventually(
          "every broker is in step",
          async () => (await knowing.watermarks(topic)) && true,
        );
        await delay(3_000);
      }
    };

    await t.test("progress of a group without members", async () => {
      const group = kafka.name("group");
      await knowing.commitOffsets(group, progress(10n));
      const stale = await knowing.committed(group, [at], { stable: true });
      assert.equal(stale[0]?.nextOffset, 10n);
      const found = await asked(
        () => coordinatorOf(cluster, group),
        async () => (await awake()).port().admin().commitOffsets(group, progress(20n)),
        () => knowing.committed(group, [at], { stable: true }),
      );
      assert.equal(found[0]?.nextOffset, 20n);
    });

    await t.test("progress for a member", async () => {
      const group = kafka.name("group");
      const member: Member = new Member(kafka.consumer(kafka.port(), group, [topic]), {
        starts: ({ partitions }) => partitions.map((one) => ({ ...one, nextOffset: 0n })),
      });
      t.after(() => member.consumer.stop());
      await member.start();
      const generation = (): GroupGeneration => member.assignment?.generation ?? assert.fail();
      const commit = async (nextOffset: bigint): Promise<void> => {
        const fixture = await awake();
        const producer = await fixture.producer(fixture.port());
        producer.begin();
        await producer.sendOffsets(progress(nextOffset), generation());
        await producer.commit();
      };
      await commit(10n);
      const first = { stable: true, member: generation() };
      assert.equal((await knowing.committed(group, [at], first))[0]?.nextOffset, 10n);
      const found = await asked(
        () => coordinatorOf(cluster, group),
        () =>
          eventually(
            "a commit",
            () =>
              commit(20n).then(
                () => true,
                (error: unknown) => (t.diagnostic(String(error)), null),
              ),
            60_000,
          ),
        () => knowing.committed(group, [at], { stable: true, member: generation() }),
      );
      assert.equal(found[0]?.nextOffset, 20n);
    });

    await t.test("the end of a partition", async () => {
      const producer = kafka.port().producer();
      await producer.send([record(topic, "1")]);
      assert.equal((await knowing.watermarks(topic))[0]?.high, 1n);
      const found = await asked(
        async () => (await leadersOf(cluster, topic))[0] ?? -1,
        async () =>
          (await awake())
            .port()
            .producer()
            .send([record(topic, "2")]),
        () => knowing.watermarks(topic),
      );
      assert.equal(found[0]?.high, 2n);
    });
  },
);
