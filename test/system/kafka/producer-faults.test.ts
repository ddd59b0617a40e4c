// What producers do when answers are lost and partitions are not there: never a send that resolves without its records,
// never a record twice. Each case is one that kafkajs' own producer fails without an error.
import assert from "node:assert/strict";
import { test } from "node:test";
import { throwsCode } from "../../contract/kafka-port/world.ts";
import { FaultSockets } from "../../support/fault-sockets.ts";
import { KafkaFixture, numbered, record, valuesOf } from "../../support/kafka.ts";

const values = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

test("a lost answer to Produce loses and doubles nothing, in a transaction", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }));
  producer.begin();
  await producer.send(numbered(topic, 3));
  faults.loseAnswers("produce", 2);
  const sends = [record(topic, "3"), record(topic, "4"), record(topic, "5")];
  await Promise.all(sends.map((one) => producer.send([one])));
  await producer.commit();
  assert.equal(faults.struck, 2);
  assert.deepEqual(valuesOf(await kafka.committed(topic)), values(6));
});

test("a lost answer to Produce loses and doubles nothing, outside transactions", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const producer = kafka.port({ socketFactory: faults.factory }).producer();
  await producer.send([record(topic, "0")]);
  faults.loseAnswers("produce");
  await Promise.all(["1", "2", "3"].map((value) => producer.send([record(topic, value)])));
  assert.equal(faults.struck, 1);
  assert.deepEqual(valuesOf(await kafka.committed(topic)), values(4));
});

test("a lost Produce is sent again", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }));
  producer.begin();
  faults.loseRequests("produce");
  await producer.send(numbered(topic, 2));
  await producer.commit();
  assert.equal(faults.struck, 1);
  assert.deepEqual(valuesOf(await kafka.committed(topic)), values(2));
});

test("records of many chunks keep their order through lost answers", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic(2);
  const faults = new FaultSockets();
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }));
  producer.begin();
  const headers = [["filling", Buffer.alloc(1_000)]] as const;
  faults.loseAnswers("produce");
  const sent = values(4_000).map((value, i) => record(topic, value, { partition: i % 2, headers }));
  await producer.send(sent);
  await producer.commit();
  assert.equal(faults.struck, 1);
  // About four megabytes in two partitions: three rounds, and one again.
  assert.ok(faults.count("produce") >= 4, String(faults.count("produce")));
  for (const partition of [0, 1])
    assert.deepEqual(
      valuesOf(await kafka.committed(topic, partition)),
      valuesOf(
        sent.filter((one) => one.partition === partition).map((one) => ({ ...one, offset: 0n })),
      ),
    );
});

test("a partition that is not there is an error, not a send without records", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic(2);
  const producer = await kafka.producer(kafka.port(), kafka.name("tx"), 2_000);
  producer.begin();
  await assert.rejects(
    producer.send([record(topic, "kept"), record(topic, "lost", { partition: 7 })]),
    throwsCode("MILL_TOPIC_MISSING"),
  );
  assert.equal(producer.state, "dead");
  assert.deepEqual(await kafka.committed(topic), []);
});

test("a topic that is not there is an error that names the cure", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const producer = kafka.port({ requestDeadlineMs: 1_500 }).producer();
  await assert.rejects(
    producer.send([record(kafka.name("absent"), "x")]),
    throwsCode("MILL_TOPIC_MISSING"),
  );
});

test("a topic that is gone does not keep a producer from the others", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const [gone, kept] = [await kafka.topic(), await kafka.topic()];
  const port = kafka.port({ requestDeadlineMs: 1_500 });
  const producer = port.producer();
  await producer.send([record(gone, "0"), record(kept, "0")]);
  await port.admin().deleteTopics([gone]);
  await assert.rejects(producer.send([record(gone, "1")]), throwsCode("MILL_TOPIC_MISSING"));
  await producer.send([record(kept, "1")]);
  assert.deepEqual(valuesOf(await kafka.committed(kept)), values(2));
});

test("a lost answer to EndTxn is an unknown outcome, and the next producer finds it committed", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const id = kafka.name("tx");
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }), id);
  producer.begin();
  await producer.send(numbered(topic, 2));
  faults.loseAnswers("endTxn");
  await assert.rejects(producer.commit(), throwsCode("MILL_KAFKA_UNKNOWN_OUTCOME"));
  assert.equal(producer.state, "dead");
  assert.equal(faults.count("endTxn"), 1, "a second EndTxn could end a later transaction");
  await kafka.producer(kafka.port(), id);
  assert.deepEqual(valuesOf(await kafka.committed(topic)), values(2));
});

test("a lost EndTxn is an unknown outcome, and the next producer finds it aborted", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const id = kafka.name("tx");
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }), id);
  producer.begin();
  await producer.send(numbered(topic, 2));
  faults.loseRequests("endTxn");
  await assert.rejects(producer.commit(), throwsCode("MILL_KAFKA_UNKNOWN_OUTCOME"));
  await kafka.producer(kafka.port(), id);
  assert.deepEqual(await kafka.committed(topic), []);
});

test("a lost answer to the commit of progress kills the transaction instead of repeating it", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }));
  producer.begin();
  faults.loseAnswers("txnOffsetCommit");
  const generation = { group: kafka.name("group"), generationId: -1, memberId: "" };
  await assert.rejects(
    producer.sendOffsets([{ topic, partition: 0, nextOffset: 5n, metadata: "" }], generation),
    throwsCode("MILL_KAFKA_UNAVAILABLE"),
  );
  assert.equal(producer.state, "dead");
  assert.equal(faults.count("txnOffsetCommit"), 1);
  await assert.rejects(producer.commit(), throwsCode("MILL_KAFKA_UNAVAILABLE"));
});

test("a producer gives up at its deadline when Kafka stays away, and is dead", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const port = kafka.port({ socketFactory: faults.factory });
  const producer = await kafka.producer(port, kafka.name("tx"), 1_500);
  producer.begin();
  await producer.send([record(topic, "0")]);
  faults.offline();
  const startedAt = performance.now();
  await assert.rejects(producer.send([record(topic, "1")]), throwsCode("MILL_KAFKA_UNAVAILABLE"));
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= 1_000 && tookMs < 6_000, `took ${String(tookMs)} ms`);
  assert.equal(producer.state, "dead");
});

test("a send outlives a network that is gone for a second", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic();
  const faults = new FaultSockets();
  const producer = await kafka.producer(kafka.port({ socketFactory: faults.factory }));
  producer.begin();
  await producer.send([record(topic, "0")]);
  faults.offline();
  const sending = producer.send([record(topic, "1")]);
  setTimeout(() => faults.online(), 1_000);
  await sending;
  await producer.commit();
  assert.deepEqual(valuesOf(await kafka.committed(topic)), values(2));
});

test("commands say within their deadline that Kafka is away", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const faults = new FaultSockets();
  faults.offline();
  const admin = kafka.port({ socketFactory: faults.factory, requestDeadlineMs: 1_000 }).admin();
  const startedAt = performance.now();
  await assert.rejects(admin.listTopics(), throwsCode("MILL_KAFKA_UNAVAILABLE"));
  assert.ok(performance.now() - startedAt < 4_000);
});

test("back-to-back transactions do not wait long for the markers of the one before", async (t) => {
  const kafka = await KafkaFixture.for(t);
  const topic = await kafka.topic(4);
  const producer = await kafka.producer(kafka.port());
  const startedAt = performance.now();
  for (let i = 0; i < 40; i++) {
    producer.begin();
    await producer.send([0, 1, 2, 3].map((partition) => record(topic, String(i), { partition })));
    await producer.commit();
  }
  // kafkajs' own first wait of 300 ms would make this 12 s.
  assert.ok(performance.now() - startedAt < 8_000);
});
