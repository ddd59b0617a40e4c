// What the cluster in memory does beyond the suite of every Kafka port: crashes, zombies, members, and repetition.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeClock } from "../../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../../src/engine/testing/memory-kafka.ts";
import { aRecord, someRecords, throwsCode, World } from "../../../contract/kafka-port/world.ts";
import { aCluster, openTransaction, seen } from "./cluster.ts";

describe("workers that stop", () => {
  test("a crashed member's session runs out on the clock, and its transaction stays open till then", async () => {
    const { kafka, world, clock, topic } = await aCluster(2);
    const port = kafka.port();
    const [one, two] = [world.member("group", [topic], { port }), world.member("group", [topic])];
    await one.start();
    await two.start();
    await clock.advance(0);
    assert.equal(one.indexes.length, 1);
    const producer = await openTransaction(port, "tx", 20_000);
    await producer.send(someRecords(topic, ["no"]));
    kafka.crash(port);
    await clock.advance(5_999);
    assert.equal(two.indexes.length, 1);
    await clock.advance(1);
    assert.deepEqual(two.indexes, [0, 1]);
    assert.equal(one.happenings.at(-1)?.kind, "assigned");
    assert.deepEqual(kafka.openTransactions(), ["tx"]);
    await clock.advance(20_000);
    assert.deepEqual(kafka.openTransactions(), []);
    assert.deepEqual(one.batches, []);
  });

  test("a crashed worker's calls never end, and what they had asked for may have happened", async () => {
    const cluster = await aCluster();
    const port = cluster.kafka.port();
    const producer = port.producer();
    let isOver = false;
    void producer.send(someRecords(cluster.topic, ["a"])).finally(() => (isOver = true));
    cluster.kafka.crash(port);
    void producer.send(someRecords(cluster.topic, ["b"])).finally(() => (isOver = true));
    await cluster.clock.advance(60_000);
    assert.equal(isOver, false);
    assert.ok(!seen(cluster).includes("b"));
  });

  test("a crashed worker does not hear the answer to what it had asked", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    const member = world.member("group", [topic]);
    await member.start();
    await clock.advance(0);
    const producer = await openTransaction(kafka.port(), "tx");
    const progress = { topic, partition: 0, nextOffset: 1n, metadata: "" };
    await producer.sendOffsets([progress], member.assignment.generation);
    const port = kafka.port();
    let isAnswered = false;
    const asking = port.admin().committed("group", [progress], { stable: true });
    void asking.then(() => (isAnswered = true));
    await clock.advance(0);
    kafka.crash(port);
    await producer.commit();
    await clock.advance(60_000);
    assert.equal(isAnswered, false);
  });

  test("a member that crashes while it joins holds up nobody for longer than its session", async () => {
    const { kafka, world, clock, topic } = await aCluster(2);
    const port = kafka.port();
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const one = world.member("group", [topic], { revoking: () => held });
    await one.start();
    await clock.advance(0);
    void world.member("group", [topic], { port }).start();
    await clock.advance(0);
    kafka.crash(port);
    letGo();
    await clock.advance(6_000);
    assert.deepEqual(one.indexes, [0, 1]);
  });

  test("a frozen worker that comes back in time has missed nothing", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    const port = kafka.port();
    const member = world.member("group", [topic], { port });
    await member.start();
    await clock.advance(0);
    kafka.freeze(port);
    await world.produce(someRecords(topic, ["a"]));
    await clock.advance(5_000);
    assert.deepEqual(member.values, []);
    kafka.thaw(port);
    await clock.advance(60_000);
    assert.deepEqual(member.values, ["a"]);
    assert.equal(member.happenings.filter(({ kind }) => kind === "assigned").length, 1);
  });

  test("a zombie reads on until its next heartbeat, is fenced, and joins anew", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    const port = kafka.port();
    const zombie = world.member("group", [topic], { port });
    await zombie.start();
    await clock.advance(0);
    const { generation } = zombie.assignment;
    const producer = await openTransaction(port, "tx-zombie", 600_000);
    kafka.freeze(port);
    const owner = world.member("group", [topic]);
    void owner.start(); // Waits for the frozen member, which its session ends.
    await clock.advance(6_000);
    assert.deepEqual(owner.indexes, [0]);
    await world.produce(someRecords(topic, ["a"]));
    kafka.thaw(port);
    await clock.advance(0);
    assert.deepEqual([zombie.values, owner.values], [["a"], ["a"]]);
    const progress = [{ topic, partition: 0, nextOffset: 1n, metadata: "" }];
    const fenced = throwsCode("MILL_KAFKA_FENCED");
    await assert.rejects(producer.sendOffsets(progress, generation), fenced);
    await clock.advance(200);
    const [, batch, revoking] = zombie.happenings;
    assert.deepEqual([batch?.kind, revoking?.kind], ["batch", "revoking"]);
    assert.equal(owner.indexes.length + zombie.indexes.length, 1);
    assert.equal(owner.assignment.members.length, 2);
  });

  test("drops a member that does not come back from onRevoked in time", async () => {
    const { world, clock, topic } = await aCluster(2);
    const stuck = world.member("group", [topic], { revoking: () => new Promise(() => undefined) });
    await stuck.start();
    await clock.advance(0);
    const other = world.member("group", [topic]);
    void other.start();
    await clock.advance(9_999);
    assert.deepEqual(other.happenings, []);
    await clock.advance(1);
    assert.deepEqual(other.indexes, [0, 1]);
  });
});

describe("consumers", () => {
  test("bounds batches by count and by bytes, and serves partitions in turn", async () => {
    const { world, clock, topic } = await aCluster(2, 2);
    const values = ["a", "b", "c"];
    for (const partition of [0, 1])
      await world.produce(values.map((value) => aRecord(topic, value, { partition })));
    const member = world.member("group", [topic]);
    await member.start();
    await clock.advance(0);
    const shapes = member.batches.map(({ partition, records }) => [partition, records.length]);
    assert.deepEqual(shapes, [
      [0, 2],
      [1, 2],
      [0, 1],
      [1, 1],
    ]);
  });

  test("delivers a record that is larger than maxBytes, alone", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    await world.produce(someRecords(topic, ["x".repeat(5_000), "small"]));
    const timing = {
      sessionTimeoutMs: 6_000,
      heartbeatIntervalMs: 200,
      rebalanceTimeoutMs: 10_000,
    };
    const options = {
      group: "group",
      topics: [topic],
      identity: "one",
      maxBytes: 1_000,
      ...timing,
    };
    const counts: number[] = [];
    const consumer = kafka.port().consumer(options);
    await consumer.start({
      onAssigned: ({ partitions }) => {
        for (const at of partitions) consumer.seek(at, 0n);
        return Promise.resolve(consumer.resume(partitions));
      },
      onRevoked: () => Promise.resolve(),
      onBatch: ({ records }) => void counts.push(records.length),
      onOutOfRange: ({ topic }) => assert.fail(topic),
      onUnreadable: ({ topic }) => assert.fail(topic),
      onRefused: () => undefined,
      onFatal: (error) => assert.fail(error),
    });
    await clock.advance(0);
    assert.deepEqual(counts, [1, 1]);
  });

  test("ends with onFatal and leaves when a hook throws", async () => {
    const { world, clock, topic } = await aCluster();
    const broken = new Error("a bug");
    const member = world.member("group", [topic], { starts: () => Promise.reject(broken) });
    await member.start();
    await clock.advance(0);
    assert.deepEqual(member.fatal, [broken]);
    assert.deepEqual((await world.port().admin().describeGroup("group")).members, []);
  });

  test("joins again when the group is told to rebalance", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    const member = world.member("group", [topic]);
    await member.start();
    await clock.advance(0);
    kafka.rebalance("group");
    await clock.advance(0);
    assert.deepEqual(
      member.happenings.map(({ kind }) => kind),
      ["assigned", "revoking", "revoked", "assigned"],
    );
  });

  test("stops while it waits for others to join", async () => {
    const { world, clock, topic } = await aCluster(2);
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const one = world.member("group", [topic], { revoking: () => held });
    await one.start();
    await clock.advance(0);
    const two = world.member("group", [topic]);
    void two.start();
    await clock.advance(0);
    await two.consumer.stop();
    assert.deepEqual(
      two.happenings.map(({ kind }) => kind),
      ["revoking", "revoked"],
    );
    letGo();
    await clock.advance(0);
    assert.deepEqual(one.indexes, [0, 1]);
  });

  test("forgets a group's progress when told so", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    const member = world.member("group", [topic]);
    await member.start();
    await clock.advance(0);
    const progress = { topic, partition: 0, nextOffset: 3n, metadata: "" };
    await member.consumer.commit([progress], member.assignment.generation);
    kafka.forgetProgress("group");
    const [found] = await world.port().admin().committed("group", [progress], { stable: true });
    assert.equal(found?.nextOffset, null);
  });

  test("runs a week of an idle group without a single timer", async () => {
    const { world, clock, topic } = await aCluster();
    await world.member("group", [topic], { asksQuiet: false }).start();
    await clock.advance(0);
    assert.equal(clock.nextDue(), null);
    await clock.advance(7 * 86_400_000);
  });
});

test("gives the same run for the same calls", async () => {
  const run = async (): Promise<unknown> => {
    const clock = new FakeClock();
    const kafka = new MemoryKafka(clock);
    kafka.createTopic({ topic: "t", partitions: 3 });
    const world = new World({
      port: () => kafka.port(),
      clockAdvance: (ms) => clock.advance(ms),
      close: () => Promise.resolve(),
    });
    const port = kafka.port();
    const members = [
      world.member("g", ["t"], { identity: "a", port }),
      world.member("g", ["t"], { identity: "b" }),
    ];
    for (const member of members) {
      await member.start();
      for (const partition of [0, 1, 2]) await world.produce([aRecord("t", "x", { partition })]);
    }
    kafka.crash(port);
    await clock.advance(10_000);
    return members.map(({ happenings }) => happenings);
  };
  assert.deepEqual(await run(), await run());
});
