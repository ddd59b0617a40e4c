// The cluster in memory when the log cleaner comes, a batch is delivered elsewhere than it should be, progress is decided
// before its markers are there, and a watcher says what becomes of a request.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { settle } from "../../../../src/engine/testing/doubles/fake-clock.ts";
import { aRecord, someRecords, throwsCode } from "../../../contract/kafka-port/world.ts";
import { aCluster, openTransaction, type Cluster } from "./cluster.ts";

const DAY_MS = 86_400_000;

/** A compacted topic whose tombstones are kept for a week. */
async function compacted(): Promise<Cluster> {
  const cluster = await aCluster();
  const config = { "cleanup.policy": "compact", "delete.retention.ms": String(7 * DAY_MS) };
  cluster.kafka.createTopic({ topic: "log", partitions: 1, config });
  return { ...cluster, topic: "log" };
}

const keyed = ({ topic, clock }: Cluster, key: string, value: string | null) => ({
  ...aRecord(topic, "", { key: Buffer.from(key), timestamp: clock.now() }),
  value: value === null ? null : Buffer.from(value),
});

const left = ({ kafka, topic }: Cluster): string[] =>
  kafka
    .records(topic, { committed: true })
    .map(({ offset, key, value }) => `${String(offset)} ${String(key)} ${String(value)}`);

describe("the log cleaner", () => {
  test("leaves the newest record of each key where it was", async () => {
    const cluster = await compacted();
    const producer = cluster.kafka.port().producer();
    const records = ["a", "b", "a", "c", "b"].map((key, i) => keyed(cluster, key, String(i)));
    await producer.send(records);
    cluster.kafka.compact({ topic: "log", partition: 0 }, 4n);
    assert.deepEqual(left(cluster), ["1 b 1", "2 a 2", "3 c 3", "4 b 4"]);
    cluster.kafka.compact({ topic: "log", partition: 0 }, 5n);
    assert.deepEqual(left(cluster), ["2 a 2", "3 c 3", "4 b 4"]);
    assert.deepEqual(cluster.kafka.offsets({ topic: "log", partition: 0 }), {
      ...{ low: 0n, stable: 5n, high: 5n },
    });
  });

  test("takes a tombstone only when its time is over, and by the wall clock", async () => {
    const cluster = await compacted();
    const { kafka, clock } = cluster;
    await kafka
      .port()
      .producer()
      .send([keyed(cluster, "a", "1"), keyed(cluster, "a", null)]);
    clock.jump(7 * DAY_MS);
    kafka.compact({ topic: "log", partition: 0 }, 2n);
    assert.deepEqual(left(cluster), ["1 a null"]);
    clock.jump(1);
    kafka.compact({ topic: "log", partition: 0 }, 2n);
    assert.deepEqual(left(cluster), []);
  });

  test("touches nothing from the first undecided record on, and counts no aborted one", async () => {
    const cluster = await compacted();
    const { kafka } = cluster;
    const port = kafka.port();
    await port.producer().send([keyed(cluster, "a", "1")]);
    const aborted = await openTransaction(port, "aborted");
    await aborted.send([keyed(cluster, "a", "no")]);
    await aborted.abort();
    await port.producer().send([keyed(cluster, "b", "2")]);
    const open = await openTransaction(port, "open");
    await open.send([keyed(cluster, "b", "3")]);
    kafka.compact({ topic: "log", partition: 0 }, 99n);
    await open.commit();
    assert.deepEqual(left(cluster), ["0 a 1", "3 b 2", "4 b 3"]);
  });

  test("is for compacted topics alone", async () => {
    const { kafka, topic } = await aCluster();
    assert.throws(() => kafka.compact({ topic, partition: 0 }, 0n), /compact/);
  });
});

test("a batch can come again, or too late, and the one after it where it belongs", async () => {
  const { kafka, world, clock, topic } = await aCluster();
  const member = world.member("group", [topic]);
  await member.start();
  const producer = kafka.port().producer();
  for (const [offsets, values] of [
    [0n, ["a", "b"]],
    [-1n, ["c"]],
    [1n, ["d", "e"]],
  ] as const) {
    if (offsets !== 0n) kafka.misplaceNextBatch(offsets);
    await producer.send(someRecords(topic, [...values]));
    await clock.advance(0);
  }
  const batches = member.batches.map(({ fetchedOffset, records }) => [
    fetchedOffset,
    records.map(({ value }) => String(value)).join(""),
  ]);
  assert.deepEqual(batches.slice(0, 3), [
    [0n, "ab"],
    [1n, "bc"],
    [4n, "e"],
  ]);
});

test("progress may be decided and not yet to be seen", async () => {
  const { kafka, world, clock, topic } = await aCluster();
  const member = world.member("group", [topic]);
  await member.start();
  await clock.advance(0);
  const producer = await openTransaction(kafka.port(), "tx");
  const progress = { topic, partition: 0, nextOffset: 1n, metadata: "" };
  await producer.send(someRecords(topic, ["a"]));
  await producer.sendOffsets([progress], member.assignment.generation);
  kafka.delayMarkers((at) => at.topic === "__consumer_offsets");
  await producer.commit();
  const admin = kafka.port().admin();
  const [unstable] = await admin.committed("group", [progress], { stable: false });
  assert.equal(unstable?.nextOffset, null);
  let isKnown = false;
  const asked = admin.committed("group", [progress], { stable: true });
  void asked.then(() => (isKnown = true));
  await settle();
  assert.equal(isKnown, false);
  kafka.releaseMarkers();
  assert.equal((await asked)[0]?.nextOffset, 1n);
});

test("progress without member and generation is not checked, as before KIP-447", async () => {
  const { kafka, world, clock, topic } = await aCluster();
  await world.member("group", [topic]).start();
  await clock.advance(0);
  const progress = [{ topic, partition: 0, nextOffset: 3n, metadata: "" }];
  const old = { group: "group", generationId: 0, memberId: "nobody" };
  const strict = await openTransaction(kafka.port(), "strict");
  await assert.rejects(strict.sendOffsets(progress, old), throwsCode("MILL_KAFKA_FENCED"));
  const free = await openTransaction(kafka.port(), "free");
  await free.sendOffsets(progress, { group: "group", generationId: -1, memberId: "" });
  await free.commit();
  const [found] = await kafka.port().admin().committed("group", progress, { stable: true });
  assert.equal(found?.nextOffset, 3n);
});

test("a watcher loses a request or its reply, and hears when a request was taken", async () => {
  const { kafka, topic } = await aCluster();
  const taken: string[] = [];
  const verdicts = [{ lose: "request" }, { lose: "reply" }, {}] as const;
  let at = 0;
  kafka.watch(({ request }) => ({
    ...verdicts[at++],
    taken: () => void taken.push(`${request} ${String(at)}`),
  }));
  const producer = kafka.port().producer();
  const send = (value: string): Promise<void> => producer.send(someRecords(topic, [value]));
  await assert.rejects(send("a"), throwsCode("MILL_KAFKA_UNAVAILABLE"));
  await assert.rejects(send("b"), throwsCode("MILL_KAFKA_UNAVAILABLE"));
  await send("c");
  assert.deepEqual(taken, ["produce 2", "produce 3"]);
  const values = kafka.records(topic, { committed: true }).map(({ value }) => String(value));
  assert.deepEqual(values, ["b", "c"]);
});
