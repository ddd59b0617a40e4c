// What the cluster in memory does beyond the suite of every Kafka port: time-outs, lost requests, outages.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { settle } from "../../../../src/engine/testing/doubles/fake-clock.ts";
import { aRecord, someRecords, throwsCode } from "../../../contract/kafka-port/world.ts";
import { aCluster, openTransaction, seen } from "./cluster.ts";

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
    kafka.delayMarkers((at) => at.partition === 1);
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

  test("lets no transaction and no session run out while it is away", async () => {
    const { kafka, world, clock, topic } = await aCluster();
    const port = kafka.port();
    const member = world.member("group", [topic], { port });
    await member.start();
    await clock.advance(0);
    const producer = await openTransaction(kafka.port(), "tx", 10_000);
    await producer.send(someRecords(topic, ["no"]));
    kafka.freeze(port);
    await clock.advance(1_000);
    kafka.setAvailable(false);
    await clock.advance(3_600_000);
    assert.deepEqual(kafka.openTransactions(), ["tx"]);
    kafka.setAvailable(true);
    kafka.thaw(port);
    await clock.advance(5_000);
    assert.equal(member.happenings.length, 1);
    await clock.advance(5_000);
    assert.deepEqual(kafka.openTransactions(), []);
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
