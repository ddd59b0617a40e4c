// What a member of a group does when it is slow, paused, forgotten or cut off, and with what fetches bring.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type {
  GroupConsumer,
  GroupGeneration,
  RecordBatch,
} from "../../../src/engine/core/kafka.ts";
import type { RawRecord } from "../../../src/engine/core/record.ts";
import { Member, throwsCode, type MemberOptions } from "../../contract/kafka-port/world.ts";
import { FaultSockets } from "../../support/fault-sockets.ts";
import { KafkaFixture, numbered, record, valuesOf } from "../../support/kafka.ts";

async function eventually(check: () => void | Promise<void>, limitMs = 20_000): Promise<void> {
  const giveUpAt = Date.now() + limitMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await delay(20);
    }
  }
}

interface Joining extends MemberOptions {
  readonly faults?: FaultSockets;
}

function memberOf(
  kafka: KafkaFixture,
  group: string,
  topics: readonly string[],
  options: Joining = {},
): Member {
  const port = kafka.port(options.faults ? { socketFactory: options.faults.factory } : {});
  return new Member(kafka.consumer(port, group, topics), options);
}

const everything = (batches: readonly RecordBatch[]): RawRecord[] =>
  batches.flatMap((batch) => [...batch.records]);

test("a member whose partitions are all paused outlives its session time", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const member = memberOf(kafka, kafka.name("group"), [topic]);
  await member.start();
  await eventually(() => void member.assignment);
  const { generation } = member.assignment;
  member.consumer.pause([{ topic, partition: 0 }]);
  await delay(5_000);
  assert.deepEqual(member.assignment.generation, generation);
  await kafka.port().producer().send(numbered(topic, 3));
  member.consumer.resume([{ topic, partition: 0 }]);
  await eventually(() => assert.deepEqual(member.values, ["0", "1", "2"]));
});

test("a hook that takes longer than the session does not lose the membership", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  await kafka.port().producer().send(numbered(topic, 1));
  const member = memberOf(kafka, kafka.name("group"), [topic], {
    starts: async ({ partitions }) => {
      await delay(4_000);
      return partitions.map((at) => ({ ...at, nextOffset: 0n }));
    },
  });
  await member.start();
  await eventually(() => assert.equal(member.batches.length, 1));
  assert.equal(member.happenings.filter((one) => one.kind === "assigned").length, 1);
});

test("a member that lost its session is told before it joins again, and its progress is refused", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic(2);
  const group = kafka.name("group");
  const faults = new FaultSockets();
  const zombie = memberOf(kafka, group, [topic], { faults });
  await zombie.start();
  await eventually(() => void zombie.assignment);
  const before = zombie.assignment.generation;
  faults.offline();
  const heir = memberOf(kafka, group, [topic]);
  await heir.start();
  await eventually(() => assert.deepEqual(heir.indexes, [0, 1]));
  await refusesProgressOf(kafka, topic, before);
  faults.online();
  await eventually(() => assert.deepEqual([zombie.indexes.length, heir.indexes.length], [1, 1]));
  const kinds = zombie.happenings.map((one) => `${one.kind} ${String(one.generationId)}`);
  const { generationId } = before;
  assert.deepEqual(kinds.slice(0, 3), [
    `assigned ${String(generationId)}`,
    `revoking ${String(generationId)}`,
    `revoked ${String(generationId)}`,
  ]);
  assert.ok(kinds[3]?.startsWith("assigned"));
  assert.deepEqual(zombie.fatal, []);
});

async function refusesProgressOf(
  kafka: KafkaFixture,
  topic: string,
  generation: GroupGeneration,
): Promise<void> {
  const progress = [{ topic, partition: 0, nextOffset: 1n, metadata: "" }];
  const producer = await kafka.producer(kafka.port());
  producer.begin();
  await producer.send([record(topic, "by the zombie")]);
  await assert.rejects(producer.sendOffsets(progress, generation), throwsCode("MILL_KAFKA_FENCED"));
  assert.equal(producer.state, "dead");
  // Any consumer may carry the refusal: what counts is the generation that is presented.
  const other: GroupConsumer = kafka.consumer(kafka.port(), generation.group, [topic]);
  await assert.rejects(other.commit(progress, generation), throwsCode("MILL_KAFKA_FENCED"));
  await other.stop();
}

test("broken connections leave no gap and no repetition", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const member = memberOf(kafka, kafka.name("group"), [topic], { faults });
  await member.start();
  await eventually(() => void member.assignment);
  const producer = kafka.port().producer();
  for (let i = 0; i < 30; i++) {
    await producer.send([record(topic, String(i))]);
    if (i % 10 === 5) faults.breakAll();
    if (i % 10 === 8) faults.loseAnswers("fetch");
  }
  await eventually(() => assert.equal(member.values.length, 30));
  assert.deepEqual(
    member.values,
    numbered(topic, 30).map((one) => one.value?.toString()),
  );
  let nextOffset = 0n;
  for (const batch of member.batches) {
    assert.equal(batch.fetchedOffset, nextOffset);
    ({ nextOffset } = batch);
  }
  assert.ok(faults.struck > 0);
});

test("a seek while a fetch is under way drops what that fetch brings", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  await kafka.port().producer().send(numbered(topic, 10));
  const member = memberOf(kafka, kafka.name("group"), [topic]);
  await member.start();
  await eventually(() => assert.equal(member.values.length, 10));
  // The fetch that waits at offset 10 is under way now; what comes below must be of the new place.
  member.consumer.seek({ topic, partition: 0 }, 4n);
  await kafka
    .port()
    .producer()
    .send([record(topic, "10")]);
  await eventually(() => assert.ok(member.values.length >= 17));
  assert.equal(member.batches[1]?.fetchedOffset, 4n);
  assert.deepEqual(member.values.slice(10), ["4", "5", "6", "7", "8", "9", "10"]);
});

test("a member stops at once while it waits for the others to join", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic(2);
  const group = kafka.name("group");
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const slow = memberOf(kafka, group, [topic], { revoking: () => held });
  await slow.start();
  await eventually(() => void slow.assignment);
  const waiting = memberOf(kafka, group, [topic]);
  const starting = waiting.start();
  await eventually(() => assert.ok(slow.happenings.some((one) => one.kind === "revoking")));
  const startedAt = performance.now();
  await waiting.consumer.stop();
  await starting;
  assert.ok(performance.now() - startedAt < 3_000);
  release();
  await eventually(() => assert.deepEqual(slow.indexes, [0, 1]));
});

test("a port that is closed while Kafka comes and goes keeps no socket", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  for (const awayMs of [50, 700]) {
    const faults = new FaultSockets();
    const port = kafka.port({ socketFactory: faults.factory });
    const member = new Member(kafka.consumer(port, kafka.name("group"), [topic]), {});
    await member.start();
    const producer = await kafka.producer(port);
    producer.begin();
    await producer.send([record(topic, "x")]);
    faults.offline();
    await delay(awayMs);
    faults.online();
    await delay(50);
    await port.close();
    await eventually(() => assert.equal(faults.openCount, 0), 2_000);
    await delay(1_000);
    assert.equal(faults.openCount, 0, "no retry connects after the end");
  }
});

test("a member knows that Kafka has been away for a while, also when it has nothing to do", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const member = memberOf(kafka, kafka.name("group"), [topic], { faults });
  t.after(() => member.consumer.stop());
  await member.start();
  await eventually(() => assert.deepEqual(member.indexes, [0]));
  assert.equal(member.consumer.isAway, false);
  faults.offline();
  await eventually(() => assert.equal(member.consumer.isAway, true));
  faults.online();
  await eventually(() => assert.equal(member.consumer.isAway, false));
});

test("130,000 records of one fetch arrive", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  await kafka
    .port()
    .producer()
    .send(
      Array.from({ length: 130_000 }, () =>
        record(topic, "", { value: null, timestamp: 1_700_000_000_000 }),
      ),
    );
  const member = memberOf(kafka, kafka.name("group"), [topic], {
    starts: ({ partitions }) => partitions.map((at) => ({ ...at, nextOffset: 0n })),
  });
  await member.start();
  await eventually(() => assert.equal(everything(member.batches).length, 130_000));
});

test("a topic of other partitions than its fellow stops the group with a reason", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topics = [await kafka.topic(2), await kafka.topic(3)];
  const member = memberOf(kafka, kafka.name("group"), topics);
  await assert.rejects(member.start(), throwsCode("MILL_TOPIC_PARTITIONS"));
});

describe("record batches that the broker compressed", () => {
  for (const codec of ["gzip", "snappy", "lz4", "zstd"])
    test(`are read: ${codec}`, async (t: TestContext) => {
      const kafka = await KafkaFixture.for(t);
      const topic = await kafka.topic(1, { "compression.type": codec });
      const sent = Array.from({ length: 5_000 }, (_, i) =>
        record(topic, `record ${String(i)} ${String(i * 7919)} of a text that repeats itself`, {
          headers: [["h", i % 3 === 0 ? null : Buffer.from([i & 255])]],
        }),
      );
      await kafka.port().producer().send(sent);
      const read = await kafka.committed(topic);
      assert.deepEqual(valuesOf(read), valuesOf(sent.map((one) => ({ ...one, offset: 0n }))));
      assert.deepEqual(
        read.map(({ headers }) => headers),
        sent.map(({ headers }) => headers),
      );
    });
});
