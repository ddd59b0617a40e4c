// Cases: what the admin client says and does.
import assert from "node:assert/strict";
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import { STORED_FORMAT } from "../../../src/engine/core/stored-format.ts";
import type { Cases } from "../kafka-port.ts";
import { aRecord, NOON, someRecords, throwsCode } from "./world.ts";

export const inspectionCases: Cases = {
  "describes topics, and a missing one as null": async (world) => {
    const topic = await world.topic(3);
    const missing = world.name("missing");
    const admin = world.port().admin();
    const described = await admin.describeTopics([topic, missing]);
    assert.equal(described.get(topic)?.partitions, 3);
    assert.equal(described.get(topic)?.replicationFactor, 1);
    assert.equal(described.get(missing), null);
    assert.ok((await admin.listTopics()).includes(topic));
  },

  "says where committed readers end, beside where the log does": async (world) => {
    const [topic, other] = [await world.topic(), await world.topic(2)];
    const admin = world.port().admin();
    const producer = await world.transaction();
    await world.produce(someRecords(topic, ["before"]));
    await producer.send(someRecords(topic, ["open", "open"]));
    const places = [
      { topic: other, partition: 1 },
      { topic, partition: 0 },
    ];
    const ends = async () => (await admin.stableEnds(places)).map(({ nextOffset }) => nextOffset);
    await world.eventually(async () => assert.deepEqual(await ends(), [0n, 1n]));
    assert.equal((await admin.watermarks(topic))[0]?.high, 3n);
    await producer.commit();
    await world.eventually(async () => assert.deepEqual(await ends(), [0n, 4n]));
    assert.deepEqual(await admin.stableEnds([]), []);
  },

  "creates a topic once, and leaves one that exists as it is": async (world) => {
    const topic = world.name("topic");
    const admin = world.port().admin();
    const spec = { topic, partitions: 2, replicationFactor: -1 };
    await admin.createTopics([{ ...spec, config: { "cleanup.policy": "compact" } }]);
    await admin.createTopics([{ ...spec, partitions: 5, config: {} }]);
    await world.eventually(async () => {
      const described = (await admin.describeTopics([topic])).get(topic);
      assert.equal(described?.partitions, 2);
      assert.equal(described.config["cleanup.policy"], "compact");
    });
  },

  "changes one setting and keeps the others": async (world) => {
    const topic = await world.topic();
    const admin = world.port().admin();
    await admin.alterTopicConfig(topic, { "max.message.bytes": "2000000" });
    await admin.alterTopicConfig(topic, { "retention.ms": "123456789" });
    await world.eventually(async () => {
      const config = (await admin.describeTopics([topic])).get(topic)?.config;
      assert.equal(config?.["max.message.bytes"], "2000000");
      assert.equal(config["retention.ms"], "123456789");
    });
  },

  "adds partitions, and takes none away": async (world) => {
    const topic = world.name("topic");
    const admin = world.port().admin();
    await admin.createTopics([{ topic, partitions: 2, replicationFactor: -1, config: {} }]);
    for (const partitions of [5, 5, 3]) {
      await admin.addPartitions(topic, partitions);
      assert.equal((await admin.describeTopics([topic])).get(topic)?.partitions, 5);
      assert.equal((await admin.watermarks(topic)).length, 5);
    }
  },

  "deletes topics": async (world) => {
    const topic = await world.topic();
    const admin = world.port().admin();
    await admin.deleteTopics([topic]);
    await world.eventually(async () =>
      assert.equal((await admin.describeTopics([topic])).get(topic), null),
    );
  },

  "gives a topic one id for its life, and another one when it is made anew": async (world) => {
    const [topic, other] = [await world.topic(), await world.topic()];
    const admin = world.port().admin();
    const idOf = async (name: string) => (await admin.describeTopics([name])).get(name)?.id;
    const first = await idOf(topic);
    assert.ok(first !== undefined && first !== "");
    assert.equal(await idOf(topic), first);
    assert.notEqual(await idOf(other), first);
    await admin.deleteTopics([topic]);
    await world.eventually(async () => assert.equal(await idOf(topic), undefined));
    await admin.createTopics([{ topic, partitions: 1, replicationFactor: -1, config: {} }]);
    await world.eventually(async () => {
      const second = await idOf(topic);
      assert.ok(second !== undefined && second !== first);
    });
  },

  "sets progress of a group without members, and refuses it while there is one": async (world) => {
    const topic = await world.topic(2);
    const group = world.name("group");
    const admin = world.port().admin();
    const progress = [0, 1].map((partition) => {
      const nextOffset = BigInt(partition + 3);
      return { topic, partition, nextOffset, metadata: `m${String(partition)}` };
    });
    await admin.commitOffsets(group, progress);
    assert.deepEqual(await admin.committed(group, progress, { stable: true }), progress);
    const member = world.member(group, [topic]);
    await member.start();
    await world.eventually(() => assert.deepEqual(member.indexes, [0, 1]));
    const other = progress.map((at) => ({ ...at, nextOffset: 0n }));
    await assert.rejects(admin.commitOffsets(group, other), throwsCode("MILL_KAFKA_FENCED"));
    await member.consumer.stop();
    assert.deepEqual(await admin.committed(group, progress, { stable: true }), progress);
    await world.eventually(() => admin.commitOffsets(group, other));
    assert.deepEqual(await admin.committed(group, progress, { stable: true }), other);
  },

  "knows where logs begin and end, open transactions included": async (world) => {
    const topic = await world.topic(2);
    const admin = world.port().admin();
    await world.produce(someRecords(topic, ["a", "b", "c"]));
    const producer = await world.transaction();
    await producer.send(someRecords(topic, ["d"]));
    assert.deepEqual(await marks(admin, topic), [
      [0, 0n, 4n],
      [1, 0n, 0n],
    ]);
    await producer.abort();
    await world.eventually(async () => assert.equal((await marks(admin, topic))[0]?.[2], 5n));
  },

  "deletes records below an offset": async (world) => {
    const topic = await world.topic(2);
    const admin = world.port().admin();
    await world.produce(someRecords(topic, ["a", "b", "c"]));
    await admin.deleteRecords([{ topic, partition: 0, nextOffset: 2n }]);
    assert.deepEqual(await marks(admin, topic), [
      [0, 2n, 3n],
      [1, 0n, 0n],
    ]);
    const reader = world.port().reader({ topic, partition: 0, fromOffset: 2n });
    assert.equal((await world.readUntil(reader, 3n)).records[0]?.offset, 2n);
  },

  "finds offsets by time, and the end where nothing is that young": async (world) => {
    const topic = await world.topic(2);
    const admin = world.port().admin();
    const at = (timestamp: number) => aRecord(topic, "x", { timestamp });
    for (const ms of [1_000, 2_000, 3_000]) await world.produce([at(NOON + ms)]);
    const offsetAt = async (ms: number): Promise<readonly bigint[]> =>
      [...(await admin.offsetsByTime(topic, NOON + ms))]
        .sort((a, b) => a.partition - b.partition)
        .map(({ nextOffset }) => nextOffset);
    assert.deepEqual(await offsetAt(0), [0n, 0n]);
    assert.deepEqual(await offsetAt(2_000), [1n, 0n]);
    assert.deepEqual(await offsetAt(2_001), [2n, 0n]);
    assert.deepEqual(await offsetAt(3_001), [3n, 0n]);
  },

  "says null for a group without progress": async (world) => {
    const topic = await world.topic();
    const at = { topic, partition: 0 };
    const admin = world.port().admin();
    const found = await admin.committed(world.name("group"), [at], { stable: true });
    assert.deepEqual(found, [{ ...at, nextOffset: null, metadata: "" }]);
  },

  "lists and describes groups": async (world) => {
    const topic = await world.topic();
    const group = world.name("group");
    const admin = world.port().admin();
    assert.deepEqual((await admin.describeGroup(group)).members, []);
    const member = world.member(group, [topic]);
    await member.start();
    await world.eventually(() => assert.deepEqual(member.indexes, [0]));
    assert.ok((await admin.listGroups()).includes(group));
    await world.eventually(async () => {
      const { state, members } = await admin.describeGroup(group);
      assert.equal(state, "Stable");
      assert.equal(members[0]?.memberId, member.assignment.generation.memberId);
      assert.deepEqual(members[0].topics, [topic]);
      assert.equal(members[0].format, STORED_FORMAT);
    });
    await member.consumer.stop();
    await world.eventually(async () =>
      assert.deepEqual((await admin.describeGroup(group)).members, []),
    );
  },

  "takes progress of a group away in a transaction, also while the group has members": async (
    world,
  ) => {
    const topic = await world.topic();
    const group = world.name("group");
    const admin = world.port().admin();
    const at = { topic, partition: 0 };
    const committed = async (stable: boolean) =>
      (await admin.committed(group, [at], { stable }))[0];
    await admin.commitOffsets(group, [{ ...at, nextOffset: 3n, metadata: "of before" }]);
    const member = world.member(group, [await world.topic()]);
    await member.start();
    const nobody = { group, generationId: -1, memberId: "" };
    const gone = [{ ...at, nextOffset: -1n, metadata: "" }];
    const aborted = await world.transaction();
    await aborted.sendOffsets(gone, nobody);
    // Pending: who asks for what has come of it waits.
    assert.equal((await committed(false))?.nextOffset, 3n);
    await aborted.abort();
    assert.equal((await committed(true))?.nextOffset, 3n);
    const producer = await world.transaction();
    await producer.sendOffsets(gone, nobody);
    await producer.commit();
    await world.eventually(async () => assert.equal((await committed(true))?.nextOffset, null));
    await member.consumer.stop();
  },

  "refuses a record that is larger than its topic allows": async (world) => {
    const topic = await world.topic();
    const producer = await world.transaction();
    const value = "x".repeat(3_000_000);
    await assert.rejects(
      producer.send([aRecord(topic, value)]),
      throwsCode("MILL_RECORD_TOO_LARGE"),
    );
    assert.equal(producer.state, "dead");
  },
};

/** Partition, first offset and end. */
async function marks(
  admin: AdminPort,
  topic: string,
): Promise<readonly (readonly [number, bigint, bigint])[]> {
  const found = await admin.watermarks(topic);
  return [...found]
    .sort((a, b) => a.partition - b.partition)
    .map(({ partition, low, high }) => [partition, low, high] as const);
}
