// What the cluster in memory does beyond the suite of every Kafka port: faults, crashes, zombies and time.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KafkaPort } from "../../../src/engine/core/kafka.ts";
import { FakeClock, settle } from "../../../src/engine/testing/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import {
  aRecord,
  someRecords,
  throwsCode,
  valueOf,
  World,
} from "../../contract/kafka-port/world.ts";

interface Cluster {
  readonly clock: FakeClock;
  readonly kafka: MemoryKafka;
  readonly world: World;
  readonly topic: string;
}

async function aCluster(partitions = 1, batchRecordsMax = 500): Promise<Cluster> {
  const clock = new FakeClock();
  const kafka = new MemoryKafka(clock, { batchRecordsMax });
  const world = new World({
    port: () => kafka.port(),
    clockAdvance: (ms) => clock.advance(ms),
    close: () => Promise.resolve(),
  });
  return { clock, kafka, world, topic: await world.topic(partitions) };
}

const seen = ({ kafka, topic }: Cluster, committed = true): (string | null)[] =>
  kafka.records(topic, { committed }).map(valueOf);

async function openTransaction(port: KafkaPort, transactionalId: string, timeoutMs = 30_000) {
  const producer = port.txProducer({ transactionalId, timeoutMs });
  await producer.init();
  producer.begin();
  return producer;
}

describe("transactions in time", () => {
  test("aborts a transaction at its time-out, and fences who began it", async () => {
    const cluster = await aCluster();
    const producer = await openTransaction(cluster.kafka.port(), "tx");
    await producer.send(someRecords(cluster.topic, ["no"]));
    await cluster.clock.advance(29_999);
    assert.deepEqual(cluster.kafka.openTransactions(), ["tx"]);
    await cluster.clock.advance(1);
    assert.deepEqual(cluster.kafka.openTransactions(), []);
    await assert.rejects(producer.commit(), throwsCode("MILL_KAFKA_FENCED"));
    assert.deepEqual(seen(cluster), []);
    assert.deepEqual(seen(cluster, false), ["no"]);
  });

  test("counts the time-out anew for each transaction", async () => {
    const cluster = await aCluster();
    const producer = await openTransaction(cluster.kafka.port(), "tx");
    for (const value of ["a", "b", "c"]) {
      await producer.send(someRecords(cluster.topic, [value]));
      await cluster.clock.advance(20_000);
      await producer.commit();
      producer.begin();
    }
    assert.deepEqual(seen(cluster), ["a", "b", "c"]);
  });

  test("lets a commit be known in one partition before the other, and the next transaction waits", async () => {
    const cluster = await aCluster(2);
    const { kafka, topic, world } = cluster;
    const producer = await openTransaction(kafka.port(), "tx");
    kafka.holdMarkers((at) => at.partition === 1);
    const both = (value: string) => [0, 1].map((partition) => aRecord(topic, value, { partition }));
    await producer.send(both("a"));
    await producer.commit();
    assert.deepEqual(seen(cluster), ["a"]);
    const admin = world.port().admin();
    assert.deepEqual(
      (await admin.watermarks(topic)).map(({ high }) => high),
      [2n, 1n],
    );
    producer.begin();
    let isSent = false;
    const sending = producer.send(both("b")).then(() => (isSent = true));
    await settle();
    assert.equal(isSent, false);
    kafka.releaseMarkers();
    await sending;
    await producer.commit();
    assert.deepEqual(seen(cluster), ["a", "b", "a", "b"]);
  });
});

describe("lost requests and replies", () => {
  test("a commit whose reply is lost took effect, and its caller does not know", async () => {
    const cluster = await aCluster();
    const producer = await openTransaction(cluster.kafka.port(), "tx");
    await producer.send(someRecords(cluster.topic, ["a"]));
    cluster.kafka.failNext("commit", { after: true });
    await assert.rejects(producer.commit(), throwsCode("MILL_KAFKA_UNKNOWN_OUTCOME"));
    assert.equal(producer.state, "dead");
    assert.deepEqual(seen(cluster), ["a"]);
  });

  test("a commit that is lost on its way took none, and looks the same to its caller", async () => {
    const cluster = await aCluster();
    const port = cluster.kafka.port();
    const producer = await openTransaction(port, "tx");
    await producer.send(someRecords(cluster.topic, ["a"]));
    cluster.kafka.failNext("commit");
    await assert.rejects(producer.commit(), throwsCode("MILL_KAFKA_UNKNOWN_OUTCOME"));
    await openTransaction(port, "tx");
    assert.deepEqual(seen(cluster), []);
  });

  test("a dead producer stays dead, and another with its id goes on", async () => {
    const cluster = await aCluster();
    const port = cluster.kafka.port();
    const producer = await openTransaction(port, "tx");
    cluster.kafka.failNext("send", { after: true });
    const records = someRecords(cluster.topic, ["a"]);
    await assert.rejects(producer.send(records), throwsCode("MILL_KAFKA_UNAVAILABLE"));
    await assert.rejects(producer.send(records), throwsCode("MILL_KAFKA_UNAVAILABLE"));
    await assert.rejects(producer.abort(), throwsCode("MILL_KAFKA_UNAVAILABLE"));
    const next = await openTransaction(port, "tx");
    await next.send(records);
    await next.commit();
    assert.deepEqual(seen(cluster), ["a"]);
  });

  test("after a failed send no send behind it is written", async () => {
    const cluster = await aCluster();
    const producer = await openTransaction(cluster.kafka.port(), "tx");
    cluster.kafka.failNext("send");
    const sends = ["a", "b"].map((value) => producer.send(someRecords(cluster.topic, [value])));
    const results = await Promise.allSettled(sends);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.deepEqual(seen(cluster, false), []);
  });

  test("shows every request to a watcher, which may stop the worker just before it", async () => {
    const cluster = await aCluster();
    const port = cluster.kafka.port();
    const requests: string[] = [];
    cluster.kafka.watch(({ worker, request }) => {
      requests.push(request);
      if (request === "commit") worker.crash();
    });
    const producer = await openTransaction(port, "tx");
    await producer.send(someRecords(cluster.topic, ["a"]));
    let isOver = false;
    void producer.commit().finally(() => (isOver = true));
    await cluster.clock.advance(1_000);
    assert.deepEqual([isOver, requests], [false, ["init", "send", "commit"]]);
    assert.deepEqual(seen(cluster), []);
    await openTransaction(cluster.kafka.port(), "tx");
    assert.deepEqual(cluster.kafka.openTransactions(), []);
  });
});

describe("a cluster that is away", () => {
  test("refuses requests, delivers nothing and forgets nobody", async () => {
    const cluster = await aCluster();
    const { kafka, world, clock, topic } = cluster;
    const member = world.member("group", [topic]);
    await member.start();
    await clock.advance(0);
    const producer = await openTransaction(kafka.port(), "tx");
    kafka.setAvailable(false);
    const away = throwsCode("MILL_KAFKA_UNAVAILABLE");
    await assert.rejects(producer.send(someRecords(topic, ["a"])), away);
    await assert.rejects(world.produce(someRecords(topic, ["a"])), away);
    await assert.rejects(world.port().admin().listTopics(), away);
    const reader = world.port().reader({ topic, partition: 0, fromOffset: 0n });
    await assert.rejects(reader.read(), away);
    const late = world.member("group", [topic]);
    await late.start();
    await clock.advance(3_600_000);
    assert.deepEqual([late.happenings, member.happenings.length], [[], 1]);
    kafka.setAvailable(true);
    await world.produce(someRecords(topic, ["b"]));
    await clock.advance(0);
    assert.deepEqual([...member.values, ...late.values], ["b"]);
  });

  test("wakes a start at an offset that lies outside after a topic was made anew", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    await world.produce(someRecords(topic, ["a", "b"]));
    const member = world.member("group", [topic]);
    await member.start();
    await clock.advance(0);
    const admin = world.port().admin();
    await admin.deleteTopics([topic]);
    kafka.createTopic({ topic, partitions: 1 });
    await clock.advance(0);
    assert.deepEqual(member.outOfRange, [`${topic}-0`]);
  });
});

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
    await owner.start();
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
    await kafka
      .port()
      .consumer(options)
      .start({
        onAssigned: ({ partitions }) =>
          Promise.resolve(partitions.map((at) => ({ ...at, nextOffset: 0n }))),
        onRevoked: () => Promise.resolve(),
        onBatch: ({ records }) => void counts.push(records.length),
        onOutOfRange: assert.fail,
        onFatal: assert.fail,
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
    await world.member("group", [topic]).start();
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
