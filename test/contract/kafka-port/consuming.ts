// Cases: what a consumer and a reader are handed, and where.
import assert from "node:assert/strict";
import type { Cases } from "../kafka-port.ts";
import { aRecord, NOON, throwsCode, someRecords, valueOf } from "./world.ts";

const bytes = (...values: number[]): Buffer => Buffer.from(values);

export const consumingCases: Cases = {
  "hands over records with consecutive offsets, keys, timestamps and values as they were": async (
    world,
  ) => {
    const topic = await world.topic();
    const key = bytes(0, 0, 0, 0);
    const member = world.member(world.name("group"), [topic]);
    await world.produce([
      aRecord(topic, "one", { key, timestamp: NOON + 1 }),
      aRecord(topic, null, { key: bytes() }),
      aRecord(topic, ""),
    ]);
    await member.start();
    await world.eventually(() => assert.equal(member.nextOffset(0), 3n));
    const records = member.batches.flatMap((batch) => batch.records);
    assert.deepEqual(
      records.map(({ offset, key: k, value, timestamp }) => [offset, k, value, timestamp]),
      [
        [0n, key, Buffer.from("one"), NOON + 1],
        [1n, bytes(), null, NOON],
        [2n, null, bytes(), NOON],
      ],
    );
    assert.deepEqual([records[0]?.topic, records[0]?.partition], [topic, 0]);
  },

  "marks what it reads with whose time it is: a producer's, or a broker's": async (world) => {
    const plain = await world.topic();
    const timed = await world.topic(1, { "message.timestamp.type": "LogAppendTime" });
    const producer = await world.transaction();
    await producer.send(someRecords(plain, ["in a transaction"]));
    await producer.commit();
    await world.produce([aRecord(plain, "alone", { timestamp: NOON })]);
    await world.produce([aRecord(timed, "stamped", { timestamp: NOON })]);
    const marksOf = async (topic: string, end: bigint) => {
      const reader = world.port().reader({ topic, partition: 0, fromOffset: 0n });
      return (await world.readUntil(reader, end)).marks ?? [];
    };
    const [marker, alone] = await marksOf(plain, 3n);
    assert.deepEqual([marker?.nextOffset, marker?.by], [2n, "broker"]);
    assert.deepEqual(alone, { nextOffset: 3n, timeMs: NOON, by: "producer" });
    const [stamped] = await marksOf(timed, 1n);
    assert.deepEqual([stamped?.nextOffset, stamped?.by], [1n, "broker"]);
    // Both clocks are those of brokers.
    assert.ok(Math.abs((stamped?.timeMs ?? 0) - (marker?.timeMs ?? 0)) < 60_000);
    assert.notEqual(stamped?.timeMs, NOON);
  },

  "shows the end of the log with each fetch, also where there is nothing to hand over": async (
    world,
  ) => {
    const topic = await world.topic();
    const member = world.member(world.name("group"), [topic]);
    await member.start();
    await world.eventually(() => assert.equal(member.ends.get(0), 0n));
    const producer = await world.transaction();
    await producer.send(someRecords(topic, ["never"]));
    await producer.abort();
    await world.produce(someRecords(topic, ["x"]));
    await world.eventually(() => assert.equal(member.ends.get(0), 3n));
  },

  "says of a fetch that has found nothing when it was sent; never in front of an open transaction":
    async (world) => {
      const topic = await world.topic();
      const member = world.member(world.name("group"), [topic]);
      await member.start();
      const quietAt = (end: bigint, after: number) =>
        world.eventually(() => {
          const { quiet } = member;
          assert.equal(quiet.get(0)?.end, end);
          assert.ok((quiet.get(0)?.sentMs ?? 0) > after, "a fetch of before");
        });
      await quietAt(0n, 0);
      await world.produce(someRecords(topic, ["x"]));
      await quietAt(1n, member.quiet.get(0)?.sentMs ?? 0);
      const producer = await world.transaction();
      await producer.send(someRecords(topic, ["open"]));
      await world.passTime(600);
      const before = member.quiet.get(0);
      assert.equal(before?.end, 1n);
      await world.passTime(1_000);
      assert.deepEqual(
        member.quiet.get(0),
        before,
        "it is quiet in front of what may be committed",
      );
      await producer.abort();
      // Behind the record that was aborted, and the marker of its transaction.
      await quietAt(3n, before.sentMs);
    },

  "keeps header pairs in order, repeated names, null values and bytes included": async (world) => {
    const topic = await world.topic();
    const headers = [
      ["b", bytes(1, 255)],
      ["a", null],
      ["b", bytes()],
      ["ü", Buffer.from("ä")],
      ["b", bytes(2)],
    ] as const;
    await world.produce([aRecord(topic, "x", { headers }), aRecord(topic, "y")]);
    const reader = world.port().reader({ topic, partition: 0, fromOffset: 0n });
    const { records } = await world.readUntil(reader, 2n);
    assert.deepEqual(records[0]?.headers, headers);
    assert.deepEqual(records[1]?.headers, []);
  },

  "continues each batch where the last one ended": async (world) => {
    const topic = await world.topic(2);
    const member = world.member(world.name("group"), [topic]);
    await member.start();
    for (const round of ["a", "b", "c"])
      await world.produce([0, 1].map((partition) => aRecord(topic, round, { partition })));
    await world.eventually(() => {
      assert.equal(member.nextOffset(0), 3n);
      assert.equal(member.nextOffset(1), 3n);
    });
    for (const partition of [0, 1]) {
      let expected = 0n;
      for (const batch of member.batches.filter((one) => one.partition === partition)) {
        assert.equal(batch.fetchedOffset, expected);
        assert.ok(batch.highWatermark >= batch.nextOffset);
        expected = batch.nextOffset;
      }
    }
  },

  "delivers nothing of a paused partition, and goes on where it stopped when it is resumed": async (
    world,
  ) => {
    const topic = await world.topic(2);
    const member = world.member(world.name("group"), [topic]);
    await member.start();
    await world.eventually(() => assert.deepEqual(member.indexes, [0, 1]));
    member.consumer.pause([{ topic, partition: 0 }]);
    await world.passTime(500); // A fetch that was under way may still arrive, empty.
    await world.produce([0, 1].map((partition) => aRecord(topic, "x", { partition })));
    await world.eventually(() => assert.equal(member.nextOffset(1), 1n));
    await world.passTime(500);
    assert.equal(member.nextOffset(0), null);
    member.consumer.resume([{ topic, partition: 0 }]);
    await world.eventually(() => assert.equal(member.nextOffset(0), 1n));
  },

  "begins the next batch where it was told to seek": async (world) => {
    const topic = await world.topic();
    const member = world.member(world.name("group"), [topic]);
    await world.produce(someRecords(topic, ["a", "b", "c"]));
    await member.start();
    await world.eventually(() => assert.equal(member.nextOffset(0), 3n));
    const before = member.batches.length;
    member.consumer.seek({ topic, partition: 0 }, 1n);
    await world.eventually(() => assert.equal(member.batches.length > before, true));
    const again = member.batches.slice(before);
    assert.equal(again[0]?.fetchedOffset, 1n);
    await world.eventually(() => assert.deepEqual(member.values, ["a", "b", "c", "b", "c"]));
  },

  "reads each partition from where the hook says, and not at all where it says nothing": async (
    world,
  ) => {
    const topic = await world.topic(2);
    for (const value of ["a", "b"])
      await world.produce([0, 1].map((partition) => aRecord(topic, value, { partition })));
    const starts = () => [{ topic, partition: 0, nextOffset: 1n }];
    const member = world.member(world.name("group"), [topic], { starts });
    await member.start();
    await world.eventually(() => assert.equal(member.nextOffset(0), 2n));
    await world.passTime(500);
    assert.deepEqual(member.values, ["b"]);
    const left = { topic, partition: 1 };
    member.consumer.seek(left, 0n);
    await world.passTime(500);
    assert.equal(member.nextOffset(1), null);
    member.consumer.resume([left]);
    await world.eventually(() => assert.equal(member.nextOffset(1), 2n));
  },

  "says that an offset lies outside the log instead of choosing another": async (world) => {
    const topic = await world.topic(2);
    await world.produce(someRecords(topic, ["a", "b", "c"]));
    await world
      .port()
      .admin()
      .deleteRecords([{ topic, partition: 0, nextOffset: 2n }]);
    const starts = () => [
      { topic, partition: 0, nextOffset: 1n },
      { topic, partition: 1, nextOffset: 7n },
    ];
    const member = world.member(world.name("group"), [topic], { starts });
    await member.start();
    await world.eventually(() =>
      assert.deepEqual([...new Set(member.outOfRange)].sort(), [`${topic}-0`, `${topic}-1`]),
    );
    assert.deepEqual(member.values, []);
    member.consumer.seek({ topic, partition: 0 }, 2n);
    await world.eventually(() => assert.deepEqual(member.values, ["c"]));
  },

  "a reader stands at the end, then sees what comes": async (world) => {
    const topic = await world.topic();
    await world.produce(someRecords(topic, ["a"]));
    const reader = world.port().reader({ topic, partition: 0, fromOffset: 1n, maxWaitMs: 50 });
    const reading = world.readUntil(reader, 2n);
    await world.produce(someRecords(topic, ["b"]));
    const { records, highWatermark, lastStableOffset } = await reading;
    assert.deepEqual(records.map(valueOf), ["b"]);
    assert.deepEqual([highWatermark, lastStableOffset], [2n, 2n]);
  },

  "a reader outside the log throws MILL_SOURCE_OFFSET_GONE": async (world) => {
    const topic = await world.topic();
    await world.produce(someRecords(topic, ["a", "b"]));
    await world
      .port()
      .admin()
      .deleteRecords([{ topic, partition: 0, nextOffset: 1n }]);
    for (const fromOffset of [0n, 9n]) {
      const reader = world.port().reader({ topic, partition: 0, fromOffset });
      await assert.rejects(reader.read(), throwsCode("MILL_SOURCE_OFFSET_GONE"));
    }
  },
};
