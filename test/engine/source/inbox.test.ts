import assert from "node:assert/strict";
import { test } from "node:test";
import type { RecordBatch } from "../../../src/engine/core/kafka.ts";
import type { TopicPartition } from "../../../src/engine/core/record.ts";
import { Inbox } from "../../../src/engine/source/inbox.ts";
import type { Valve } from "../../../src/engine/source/queue.ts";
import { raw } from "../../support/plans.ts";

const generation = { group: "g", generationId: 1, memberId: "m" };

/** A batch of one-byte records from `from` to `to`, one millisecond apart. */
function batch(
  from: number,
  to: number,
  options: { topic?: string; timestamp?: number } = {},
): RecordBatch {
  const { topic = "in", timestamp = 0 } = options;
  const records = Array.from({ length: to - from }, (_, i) =>
    raw(i, { topic, offset: BigInt(from + i), timestamp: timestamp + i }),
  );
  return {
    topic,
    partition: 0,
    generation,
    fetchedOffset: BigInt(from),
    records,
    nextOffset: BigInt(to),
    highWatermark: BigInt(to),
    byteLength: to - from,
  };
}

class RecordingValve implements Valve {
  readonly turns: string[] = [];
  readonly #paused = new Set<string>();
  pause(partitions: readonly TopicPartition[]): void {
    this.turns.push("pause");
    for (const { topic } of partitions) this.#paused.add(topic);
  }
  resume(partitions: readonly TopicPartition[]): void {
    this.turns.push("resume");
    for (const { topic } of partitions) this.#paused.delete(topic);
  }
  seek({ topic }: TopicPartition, nextOffset: bigint): void {
    this.turns.push(`seek ${topic} ${String(nextOffset)}`);
  }
  get paused(): string {
    return [...this.#paused].sort().join();
  }
}

const open = (options: { bytesMax?: number; sliceRecordsMax?: number; topics?: string[] } = {}) => {
  const valve = new RecordingValve();
  const starts = (options.topics ?? ["in"]).map((topic) => ({
    topic,
    partition: 0,
    nextOffset: 0n,
  }));
  const { bytesMax = 100, sliceRecordsMax = 100 } = options;
  return { valve, inbox: new Inbox(starts, { bytesMax, sliceRecordsMax }, valve) };
};

test("runs follow each other without a gap, in pieces of a bounded size", async () => {
  const { inbox } = open({ sliceRecordsMax: 2 });
  assert.equal(inbox.push(batch(0, 3)), null);
  const first = await inbox.take();
  const second = await inbox.take();
  assert.deepEqual([first?.records.length, first?.nextOffset], [2, 2n]);
  assert.deepEqual([second?.records.length, second?.nextOffset], [1, 3n]);
  assert.ok(inbox.isEmpty);
});

test("a batch that does not begin where the last one ended is refused with the offset to seek to", () => {
  const { inbox } = open();
  inbox.push(batch(0, 3));
  assert.equal(inbox.push(batch(5, 6)), 3n);
  assert.equal(inbox.push(batch(0, 3)), 3n);
  assert.equal(inbox.push(batch(3, 4)), null);
});

test("a full inbox pauses its partitions, and resumes them at half", async () => {
  const { inbox, valve } = open({ bytesMax: 4_000, sliceRecordsMax: 4 });
  inbox.push(batch(0, 8));
  assert.deepEqual(valve.turns, []);
  inbox.push(batch(8, 12));
  assert.deepEqual(valve.turns, ["pause"]);
  await inbox.take();
  assert.deepEqual(valve.turns, ["pause"]);
  await inbox.take();
  assert.deepEqual(valve.turns, ["pause", "resume"]);
});

test("a record weighs more than its bytes, so many small ones fill an inbox too", () => {
  const { inbox, valve } = open({ bytesMax: 4_000 });
  inbox.push(batch(0, 9));
  assert.deepEqual(valve.turns, []);
  inbox.push(batch(9, 10));
  assert.deepEqual(valve.turns, ["pause"]);
});

test("of several partitions the smallest head timestamp goes first, as long as it stays the smallest", async () => {
  const { inbox } = open({ topics: ["a", "b"] });
  inbox.push(batch(0, 4, { topic: "a", timestamp: 10 }));
  inbox.push(batch(0, 2, { topic: "b", timestamp: 11 }));
  const order: string[] = [];
  while (!inbox.isEmpty) {
    const run = await inbox.take();
    for (const record of run?.records ?? [])
      order.push(`${record.topic}${String(record.timestamp)}`);
  }
  assert.deepEqual(order, ["a10", "a11", "b11", "b12", "a12", "a13"]);
});

test("an empty batch still moves progress past what nobody reads", async () => {
  const { inbox } = open();
  inbox.push({ ...batch(0, 0), nextOffset: 7n });
  assert.equal((await inbox.take())?.nextOffset, 7n);
});

test("take waits for a batch, and ends when the inbox is closed", async () => {
  const { inbox } = open();
  const waiting = inbox.take();
  inbox.push(batch(0, 1));
  assert.equal((await waiting)?.records.length, 1);
  const last = inbox.take();
  inbox.close();
  assert.equal(await last, null);
  assert.equal(inbox.push(batch(1, 2)), null);
  assert.equal(inbox.push(batch(5, 6)), null);
  assert.deepEqual([inbox.bytes, inbox.isEmpty], [0, true]);
  assert.equal(await inbox.take(), null);
});

test("of a topic that is held nothing is handed out; what was fetched of it is fetched again from there", async () => {
  const { inbox, valve } = open({ topics: ["a", "b"], sliceRecordsMax: 2, bytesMax: 1e6 });
  inbox.push(batch(0, 6, { topic: "a" }));
  assert.equal((await inbox.take())?.nextOffset, 2n);
  inbox.push(batch(0, 1, { topic: "b", timestamp: 90 }));
  inbox.pauseTopics(new Set(["a"]));
  assert.equal(valve.paused, "a");
  assert.ok(valve.turns.includes("seek a 2"));
  // What was on its way is refused, with where it is to begin.
  assert.equal(inbox.push(batch(6, 8, { topic: "a" })), 2n);
  assert.equal(inbox.push(batch(2, 8, { topic: "a" })), 2n);
  assert.equal((await inbox.take())?.topic, "b");
  assert.ok(inbox.isEmpty);
  inbox.pauseTopics(new Set());
  assert.equal(valve.paused, "");
  assert.equal(inbox.push(batch(2, 8, { topic: "a" })), null);
  assert.deepEqual(
    (await inbox.take())?.records.map(({ offset }) => offset),
    [2n, 3n],
  );
});

test("what is held does not keep the others from being fetched, and stays held when there is room again", async () => {
  const { inbox, valve } = open({ topics: ["a", "b"], bytesMax: 4_000 });
  inbox.push(batch(0, 12, { topic: "a" }));
  assert.equal(valve.paused, "a,b");
  inbox.pauseTopics(new Set(["a"]));
  assert.equal(valve.paused, "a");
  inbox.push(batch(0, 12, { topic: "b" }));
  assert.equal(valve.paused, "a,b");
  inbox.pauseTopics(new Set());
  assert.equal(valve.paused, "a,b", "full: it is not the gate alone that holds");
  await inbox.take();
  assert.equal(valve.paused, "");
});

const loadingInbox = (sliceRecordsMax = 100) => {
  const valve = new RecordingValve();
  const start = { partition: 0, nextOffset: 0n };
  const starts = [
    { topic: "in", ...start },
    { topic: "known", ...start, loadTo: 4n },
    { topic: "other", ...start, loadTo: 2n },
    { topic: "loaded", ...start, loadTo: null },
  ];
  const loaded: string[] = [];
  const policies = { group: "g", bounds: undefined, pace: undefined };
  const onLoaded = (): void => void loaded.push("loaded");
  const limits = { bytesMax: 1_000_000, sliceRecordsMax };
  const inbox = new Inbox(starts, limits, valve, { ...policies, onLoaded });
  inbox.pauseTopics(new Set());
  return { inbox, valve, loaded };
};

test("while reference topics are loaded nothing is taken of the others, in fetches neither", async () => {
  const { inbox, valve, loaded } = loadingInbox(3);
  assert.equal(valve.paused, "in");
  assert.equal(inbox.push(batch(0, 2)), 0n);
  assert.match(inbox.whyWaits("in") ?? "", /known-0 is loaded first, 0 of 4; other-0 .*, 0 of 2/);
  assert.equal(inbox.whyWaits("loaded"), null);
  inbox.push(batch(0, 2, { topic: "other", timestamp: 50 }));
  assert.equal((await inbox.take())?.topic, "other");
  // A reference topic that is loaded may be read on.
  inbox.push(batch(0, 1, { topic: "loaded" }));
  assert.equal((await inbox.take())?.topic, "loaded");
  inbox.push(batch(0, 5, { topic: "known" }));
  assert.equal((await inbox.take())?.nextOffset, 3n);
  assert.deepEqual([loaded, valve.paused], [[], "in"]);
  assert.equal((await inbox.take())?.nextOffset, 5n);
  assert.deepEqual([loaded, valve.paused, inbox.whyWaits("in")], [["loaded"], "", null]);
  inbox.push(batch(0, 2));
  assert.equal((await inbox.take())?.topic, "in");
});

test("a topic that is paused from outside stays so when the loading has ended", async () => {
  const { inbox, valve, loaded } = loadingInbox();
  inbox.pauseTopics(new Set(["in"]));
  inbox.push(batch(0, 2, { topic: "other" }));
  inbox.push(batch(0, 4, { topic: "known" }));
  while (!inbox.isEmpty) await inbox.take();
  assert.deepEqual([loaded, valve.paused], [["loaded"], "in"]);
  inbox.pauseTopics(new Set());
  assert.equal(valve.paused, "");
});

test("progress without records, behind control records or what compaction took, ends a loading too", async () => {
  const { inbox, loaded } = loadingInbox();
  inbox.push({ ...batch(0, 1, { topic: "known" }), nextOffset: 6n });
  inbox.push({ ...batch(0, 0, { topic: "other" }), nextOffset: 2n });
  await inbox.take();
  await inbox.take();
  assert.deepEqual(loaded, ["loaded"]);
});
