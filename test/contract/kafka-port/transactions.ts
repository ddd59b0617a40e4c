// Cases: transactions, what committed readers see of them, and fencing by transactional id and by generation.
import assert from "node:assert/strict";
import type { CommittedOffset, GroupGeneration } from "../../../src/engine/core/kafka.ts";
import type { Cases } from "../kafka-port.ts";
import { aRecord, someRecords, throwsCode, type World } from "./world.ts";

export const transactionCases: Cases = {
  "shows records of a transaction only after its commit": async (world) => {
    const topic = await world.topic();
    const member = world.member(world.name("group"), [topic]);
    await member.start();
    const producer = await world.transaction();
    await producer.send(someRecords(topic, ["a", "b"]));
    await world.passTime(500);
    assert.deepEqual(member.values, []);
    await producer.commit();
    assert.equal(producer.state, "ready");
    await world.eventually(() => assert.deepEqual(member.values, ["a", "b"]));
    await world.eventually(() => assert.equal(member.nextOffset(0), 3n), 5_000);
  },

  "says where it put the records of each partition, and when if the topic keeps that time": async (
    world,
  ) => {
    const plain = await world.topic(2);
    const timed = await world.topic(1, { "message.timestamp.type": "LogAppendTime" });
    const producer = await world.transaction();
    const first = await producer.send(someRecords(plain, ["a", "b"]));
    assert.deepEqual(first, [
      { topic: plain, partition: 0, count: 2, baseOffset: 0n, appendTimeMs: null },
    ]);
    const mixed = [
      aRecord(plain, "c"),
      aRecord(timed, "t", { timestamp: 1 }),
      aRecord(plain, "d", { partition: 1 }),
      aRecord(plain, "e"),
    ];
    const second = await producer.send(mixed);
    await producer.commit();
    const at = (topic: string, partition: number) =>
      second.filter((batch) => batch.topic === topic && batch.partition === partition);
    assert.deepEqual(
      [at(plain, 0), at(plain, 1)].map((batches) =>
        batches.map(({ baseOffset, count }) => ({ baseOffset, count })),
      ),
      [[{ baseOffset: 2n, count: 2 }], [{ baseOffset: 0n, count: 1 }]],
    );
    const reader = world.port().reader({ topic: timed, partition: 0, fromOffset: 0n });
    const { records } = await world.readUntil(reader, 1n);
    assert.ok((records[0]?.timestamp ?? 0) > 1);
    assert.deepEqual(
      at(timed, 0).map(({ appendTimeMs }) => appendTimeMs),
      records.map(({ timestamp }) => timestamp),
    );
  },

  "holds back what lies behind an open transaction": async (world) => {
    const topic = await world.topic();
    const producer = await world.transaction();
    await world.produce(someRecords(topic, ["before"]));
    await producer.send(someRecords(topic, ["open"]));
    await world.produce(someRecords(topic, ["behind"]));
    const reader = world.port().reader({ topic, partition: 0, fromOffset: 0n, maxWaitMs: 100 });
    const { records, lastStableOffset, highWatermark } = await world.readUntil(reader, 1n);
    assert.deepEqual([records.length, lastStableOffset, highWatermark], [1, 1n, 3n]);
    await producer.commit();
    assert.deepEqual(await world.valuesBelow(topic, 4n), ["before", "open", "behind"]);
  },

  "delivers nothing of an aborted transaction, and offsets pass its markers": async (world) => {
    const topic = await world.topic();
    const producer = await world.transaction();
    await producer.send(someRecords(topic, ["no", "never"]));
    await producer.abort();
    producer.begin();
    await producer.send(someRecords(topic, ["yes"]));
    await producer.commit();
    const member = world.member(world.name("group"), [topic]);
    await member.start();
    await world.eventually(() => assert.equal(member.nextOffset(0), 5n));
    assert.deepEqual(member.values, ["yes"]);
    assert.deepEqual(await world.valuesBelow(topic, 5n), ["yes"]);
  },

  "hands over an empty batch where there is nothing but aborted and control records": async (
    world,
  ) => {
    const topic = await world.topic();
    const member = world.member(world.name("group"), [topic]);
    await member.start();
    const producer = await world.transaction();
    await producer.send(someRecords(topic, ["no", "never"]));
    await producer.abort();
    await world.eventually(() => assert.equal(member.nextOffset(0), 3n));
    assert.deepEqual(member.values, []);
  },

  "tells interleaved transactions of several producers apart": async (world) => {
    const topic = await world.topic();
    const [one, two, three] = [
      await world.transaction(),
      await world.transaction(),
      await world.transaction(),
    ];
    for (const round of [1, 2, 3]) {
      await one.send(someRecords(topic, [`no-${String(round)}`]));
      await two.send(someRecords(topic, [`never-${String(round)}`]));
      await three.send(someRecords(topic, [`yes-${String(round)}`]));
    }
    await one.abort();
    await three.commit();
    await two.abort();
    await world.produce(someRecords(topic, ["end"]));
    assert.deepEqual(await world.valuesBelow(topic, 13n), ["yes-1", "yes-2", "yes-3", "end"]);
  },

  "tells two aborted transactions of one producer apart": async (world) => {
    const topic = await world.topic();
    const producer = await world.transaction();
    for (const [value, end] of [
      ["no", "abort"],
      ["yes", "commit"],
      ["never", "abort"],
    ] as const) {
      await producer.send(someRecords(topic, [value, value]));
      await producer[end]();
      if (value !== "never") producer.begin();
    }
    assert.deepEqual(await world.valuesBelow(topic, 9n), ["yes", "yes"]);
  },

  "takes a data record with the key 00 00 00 00 for no marker": async (world) => {
    const topic = await world.topic();
    const producer = await world.transaction();
    const key = Buffer.alloc(4);
    await producer.send([aRecord(topic, "no", { key }), aRecord(topic, "never", { key })]);
    await producer.send([aRecord(topic, "nor this", { key })]);
    await producer.abort();
    assert.deepEqual(await world.valuesBelow(topic, 4n), []);
  },

  "writes one transaction to several partitions": async (world) => {
    const topic = await world.topic(3);
    const producer = await world.transaction();
    await producer.send([0, 1, 2].map((partition) => aRecord(topic, "x", { partition })));
    await producer.commit();
    const marks = await world.port().admin().watermarks(topic);
    assert.deepEqual(
      [...marks].sort((a, b) => a.partition - b.partition).map(({ high }) => high),
      [2n, 2n, 2n],
    );
  },

  "commits a transaction in which nothing was written": async (world) => {
    const producer = await world.transaction();
    await producer.commit();
    assert.equal(producer.state, "ready");
  },

  "a newer producer of the same id fences the older and ends its transaction": async (world) => {
    const topic = await world.topic();
    const id = world.name("tx");
    const old = await world.transaction({ id });
    await old.send(someRecords(topic, ["no"]));
    const producer = await world.transaction({ id });
    await assert.rejects(old.send(someRecords(topic, ["never"])), throwsCode("MILL_KAFKA_FENCED"));
    assert.equal(old.state, "dead");
    await assert.rejects(old.commit());
    await producer.send(someRecords(topic, ["yes"]));
    await producer.commit();
    assert.deepEqual(await world.valuesBelow(topic, 4n), ["yes"]);
  },

  "a fenced producer cannot commit what it had sent": async (world) => {
    const topic = await world.topic();
    const id = world.name("tx");
    const old = await world.transaction({ id });
    await old.send(someRecords(topic, ["no"]));
    await world.transaction({ id });
    await assert.rejects(old.commit(), throwsCode("MILL_KAFKA_FENCED"));
    assert.equal(old.state, "dead");
    assert.deepEqual(await world.valuesBelow(topic, 2n), []);
  },

  "offsets sent in a transaction count from its commit on, with their metadata": async (world) => {
    const { at, group, generation } = await aMember(world);
    const producer = await world.transaction();
    await producer.sendOffsets([{ ...at, nextOffset: 5n, metadata: "ä{}" }], generation);
    assert.equal((await committed(world, group, at)).nextOffset, null);
    await producer.commit();
    const stored = await committed(world, group, at, true);
    assert.deepEqual([stored.nextOffset, stored.metadata], [5n, "ä{}"]);
  },

  "offsets sent in an aborted transaction never were": async (world) => {
    const { at, group, generation } = await aMember(world);
    const producer = await world.transaction();
    await producer.sendOffsets([{ ...at, nextOffset: 5n, metadata: "" }], generation);
    await producer.abort();
    assert.equal((await committed(world, group, at, true)).nextOffset, null);
  },

  "committed progress, when asked to be stable, waits for the open transaction": async (world) => {
    const { at, group, generation } = await aMember(world);
    const producer = await world.transaction();
    await producer.sendOffsets([{ ...at, nextOffset: 5n, metadata: "" }], generation);
    let answer: CommittedOffset | null = null;
    const waiting = committed(world, group, at, true).then((found) => (answer = found));
    const other = committed(world, group, { ...at, partition: 1 }, true);
    await world.passTime(500);
    assert.equal(answer, null);
    assert.equal((await other).nextOffset, null);
    await producer.commit();
    await world.passVirtualTime(1_000);
    assert.equal((await waiting).nextOffset, 5n);
  },

  "refuses progress of an old generation, in a transaction and outside": async (world) => {
    const { at, group, generation, member } = await aMember(world);
    const other = world.member(group, [at.topic]);
    await other.start();
    await world.eventually(() => {
      assert.ok(member.assignment.generation.generationId > generation.generationId);
      assert.equal(member.indexes.length + other.indexes.length, 2);
    });
    const progress = [{ ...at, nextOffset: 5n, metadata: "" }];
    const producer = await world.transaction();
    await producer.send(someRecords(at.topic, ["no"]));
    const refused = throwsCode("MILL_KAFKA_FENCED");
    await assert.rejects(producer.sendOffsets(progress, generation), refused);
    assert.equal(producer.state, "dead");
    await assert.rejects(member.consumer.commit(progress, generation), refused);
    const stranger = { ...member.assignment.generation, memberId: "stranger" };
    await assert.rejects((await world.transaction()).sendOffsets(progress, stranger), refused);
    assert.equal((await committed(world, group, at)).nextOffset, null);
  },

  "progress of one group refused takes the whole transaction with it": async (world) => {
    const [one, two] = [await aMember(world), await aMember(world)];
    const id = world.name("tx");
    const producer = await world.transaction({ id });
    await producer.sendOffsets([{ ...one.at, nextOffset: 5n, metadata: "" }], one.generation);
    const old = { ...two.generation, generationId: two.generation.generationId + 7 };
    await assert.rejects(
      producer.sendOffsets([{ ...two.at, nextOffset: 5n, metadata: "" }], old),
      throwsCode("MILL_KAFKA_FENCED"),
    );
    await world.transaction({ id });
    assert.equal((await committed(world, one.group, one.at, true)).nextOffset, null);
  },
};

interface LoneMember {
  readonly at: { readonly topic: string; readonly partition: number };
  readonly group: string;
  readonly generation: GroupGeneration;
  readonly member: ReturnType<World["member"]>;
}

/** The only member of a group that reads a topic of two partitions. */
async function aMember(world: World): Promise<LoneMember> {
  const topic = await world.topic(2);
  const group = world.name("group");
  const member = world.member(group, [topic]);
  await member.start();
  await world.eventually(() => assert.deepEqual(member.indexes, [0, 1]));
  const { generation } = member.assignment;
  return { at: { topic, partition: 0 }, group, generation, member };
}

async function committed(
  world: World,
  group: string,
  at: LoneMember["at"],
  stable = false,
): Promise<CommittedOffset> {
  const [found] = await world.port().admin().committed(group, [at], { stable });
  assert.ok(found !== undefined);
  return found;
}
