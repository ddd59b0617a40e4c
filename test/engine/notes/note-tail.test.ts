import assert from "node:assert/strict";
import { test } from "node:test";
import { lostNote } from "../../../src/engine/notes/faults.ts";
import { NoteTail, noteRecord, readNotes } from "../../../src/engine/notes/notes.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";

const meta = "p-meta";

class Scene {
  readonly clock = new FakeClock();
  readonly kafka = new MemoryKafka(this.clock, 1);
  readonly port = this.kafka.port();
  readonly admin = this.port.admin();
  readonly ports = { kafka: this.port, admin: this.admin };
  readonly tail = new NoteTail(this.ports, meta);
  readonly #producer = this.port.producer();

  constructor() {
    this.kafka.createTopic({ topic: meta, partitions: 1 });
  }

  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const marked = work.finally(() => (isDone = true));
    assert.ok(await this.clock.advanceUntil(() => isDone, 10_000));
    return marked;
  }

  write(key: string, value: string | null): Promise<void> {
    return this.during(this.#producer.send([noteRecord(meta, key, value)]));
  }

  async look(): Promise<Record<string, string>> {
    return Object.fromEntries(await this.during(this.tail.look()));
  }
}

test("each look has the notes as they stand, and reads only what is new", async () => {
  const scene = new Scene();
  let reads = 0;
  scene.kafka.watch(({ request }) => void (reads += request === "read" ? 1 : 0));
  assert.deepEqual(await scene.look(), {});
  await scene.write("a", "1");
  await scene.write("b", "1");
  assert.deepEqual(await scene.look(), { a: "1", b: "1" });
  await scene.write("a", "2");
  await scene.write("b", null);
  assert.deepEqual(await scene.look(), { a: "2" });
  assert.equal(reads, 4);
  assert.deepEqual(await scene.look(), { a: "2" });
  assert.equal(reads, 4);
});

test("a topic that was made anew is read from its beginning", async () => {
  const scene = new Scene();
  await scene.write("a", "1");
  await scene.write("b", "1");
  await scene.look();
  await scene.during(scene.admin.deleteTopics([meta]));
  scene.kafka.createTopic({ topic: meta, partitions: 1 });
  await scene.write("c", "1");
  assert.deepEqual(await scene.look(), { c: "1" });
});

test("records that retention has taken are not asked for", async () => {
  const scene = new Scene();
  await scene.write("a", "1");
  await scene.look();
  for (const value of ["2", "3", "4"]) await scene.write("a", value);
  const below = { topic: meta, partition: 0, nextOffset: 3n };
  await scene.during(scene.admin.deleteRecords([below]));
  assert.deepEqual(await scene.look(), { a: "4" });
});

test("a look does not wait for an open transaction, and sees what it has brought later", async () => {
  const scene = new Scene();
  const producer = scene.port.txProducer({ transactionalId: "t", timeoutMs: 20_000 });
  await scene.during(producer.init());
  await scene.write("a", "1");
  producer.begin();
  await scene.during(producer.send([noteRecord(meta, "b", "1")]));
  const startedMs = scene.clock.now();
  assert.deepEqual(await scene.look(), { a: "1" });
  assert.ok(scene.clock.now() - startedMs < 1_000);
  await scene.during(producer.commit());
  assert.deepEqual(await scene.look(), { a: "1", b: "1" });
});

test("who reads every note waits for an open transaction", async () => {
  const scene = new Scene();
  const producer = scene.port.txProducer({ transactionalId: "t", timeoutMs: 20_000 });
  await scene.during(producer.init());
  producer.begin();
  await scene.during(producer.send([noteRecord(meta, "b", "1")]));
  const reading = readNotes(scene.ports, meta);
  await scene.clock.advance(5_000);
  await scene.during(producer.commit());
  assert.deepEqual(Object.fromEntries(await scene.during(reading)), { b: "1" });
});

const spoil = ({ kafka }: Scene, offset: bigint): void =>
  kafka.spoil({ topic: meta, partition: 0, offset }, "MILL_BATCH_CORRUPT");

test("a batch that nobody can read hides notes of keys that are not known, and of no others", async () => {
  const scene = new Scene();
  await scene.write("stores", `{"run":null}`);
  await scene.write("store/deleted", null);
  await scene.write("gate", "{}");
  spoil(scene, 2n);
  await scene.write("store/behind", null);
  const found = await scene.during(readNotes(scene.ports, meta));
  assert.deepEqual([...found.keys()], ["stores"]);
  const lost = [
    "gate",
    "generation/1",
    "store/s",
    "stores",
    "store/deleted",
    "store/behind",
    "job",
  ];
  assert.deepEqual(
    lost.map((key) => lostNote(found, key)?.offset ?? null),
    [2n, 2n, 2n, null, null, null, null],
  );
  await scene.write("batch/2", "{}");
  const passed = await scene.during(readNotes(scene.ports, meta));
  assert.deepEqual(
    lost.filter((key) => lostNote(passed, key) !== null),
    [],
  );
});

test("who has read all notes before such a batch came knows the last good ones", async () => {
  const scene = new Scene();
  await scene.write("stores", `{"run":null}`);
  await scene.look();
  await scene.write("gate", "{}");
  spoil(scene, 1n);
  const found = await scene.during(scene.tail.look());
  assert.equal(lostNote(found, "gate"), null);
  assert.deepEqual(
    [...(found.faults?.values() ?? [])].map(({ key, isCovered }) => [key, isCovered]),
    [["batch/1", true]],
  );
});
