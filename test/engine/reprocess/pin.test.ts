// What a run reads, on topics in memory: times with a margin, offsets as they are given, refusals that name the partition.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { pinRange, type RangeRequest } from "../../../src/engine/reprocess/plan/pin.ts";
import { rangeText } from "../../../src/engine/reprocess/words/rows.ts";
import { runOf } from "../../../src/engine/reprocess/words/stored-run.ts";
import { storedRun } from "../../support/stored-run.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { things } from "../../support/plans.ts";

const input = things("in", 2);
const output = things("out", 2);
const copy = pipeline("copy", ({ from }) => void from(input).to(output));
const sums = pipeline(
  "sums",
  ({ from }) =>
    void from(input)
      .groupByKey()
      .sum("total", ({ n }) => n)
      .map("thing", (n, { key }) => ({ id: key, n }))
      .to(output),
);

const all: RangeRequest = {
  from: { kind: "earliest" },
  to: { kind: "latest" },
  fromOffsets: [],
  toOffsets: [],
  marginMs: 1_000,
};

/** Partition 0 has records of these times. */
async function kafkaWith(times: readonly number[]) {
  const clock = new FakeClock();
  const memory = new MemoryKafka(clock);
  for (const topic of ["in", "out"]) memory.createTopic({ topic, partitions: 2 });
  const kafka = memory.port();
  const producer = kafka.producer();
  const work = producer.send(
    times.map((timestamp): OutRecord => ({
      topic: "in",
      partition: 0,
      key: null,
      value: Buffer.from("{}"),
      headers: [],
      timestamp,
    })),
  );
  await clock.advanceUntil(() => false, 1_000);
  await work;
  const ports = { kafka, admin: kafka.admin() };
  const during = async <T>(promise: Promise<T>): Promise<T> => {
    let isDone = false;
    const marked = promise.finally(() => (isDone = true));
    marked.catch(() => undefined);
    await clock.advanceUntil(() => isDone, 60_000);
    return marked;
  };
  const pin = (request: Partial<RangeRequest>, of = copy) =>
    during(pinRange(of.plan(), { request: { ...all, ...request }, staged: [] }, ports));
  const placed = async (request: Partial<RangeRequest>) => {
    const { range, warnings } = await pin(request);
    const [place] = range.places;
    return { from: place?.from, to: place?.to, warnings, range };
  };
  return { ...ports, pin, placed, during };
}

const time = (epochMs: number) => ({ kind: "time", epochMs }) as const;
const refused = (text: RegExp) => (error: unknown) =>
  error instanceof MillraceError && error.code === "MILL_RUN_RANGE" && text.test(error.message);

test("everything from the first record to the last that is there now", async () => {
  const { placed } = await kafkaWith([1, 2, 3]);
  const { from, to, range } = await placed({});
  assert.deepEqual([from, to], [0n, 3n]);
  assert.deepEqual(
    range.places.map(({ part, topic, partition }) => [part, topic, partition]),
    [
      ["main", "in", 0],
      ["main", "in", 1],
    ],
  );
  assert.deepEqual(range.pins, { in: [3n, 0n] });
  assert.deepEqual(runOf({ ...storedRun, range: rangeText(range) }).range, range);
});

test("times are the first record of that time or a later one, on both sides", async () => {
  const { placed } = await kafkaWith([10, 20, 30, 40, 50]);
  const { from, to, warnings } = await placed({ from: time(20), to: time(41), marginMs: 0 });
  assert.deepEqual([from, to], [1n, 4n]);
  assert.deepEqual(warnings, []);
});

test("records out of order within the margin are found and told", async () => {
  const { placed } = await kafkaWith([10, 20, 15, 30, 26, 31, 40]);
  const { from, to, warnings } = await placed({ from: time(20), to: time(30) });
  assert.deepEqual([from, to], [1n, 3n]);
  assert.deepEqual(warnings, [
    "in-0: 1 records within the margin are older than the start, and are read too",
    "in-0: 1 records within the margin are older than the end, and are not read",
  ]);
});

test("offsets that are given go before times, and outside of the topic they are refused by name", async () => {
  const { placed, pin } = await kafkaWith([1, 2, 3]);
  const given = {
    fromOffsets: [{ topic: "in", partition: 0, nextOffset: 1n }],
    toOffsets: [{ topic: "in", partition: 0, nextOffset: 2n }],
  };
  const { from, to } = await placed({ ...given, from: time(3), marginMs: 0 });
  assert.deepEqual([from, to], [1n, 2n]);
  const beyond = { toOffsets: [{ topic: "in", partition: 0, nextOffset: 4n }] };
  await assert.rejects(pin(beyond), refused(/in-0: to 4, it has 0 to 3/));
  const none = { fromOffsets: given.toOffsets, toOffsets: given.fromOffsets };
  await assert.rejects(pin(none), refused(/in-0: from 2 to 1 is no range/));
});

test("what retention has taken is refused, never left out in silence", async () => {
  const { admin, pin, placed, during } = await kafkaWith([10, 20, 30]);
  await during(admin.deleteRecords([{ topic: "in", partition: 0, nextOffset: 2n }]));
  const gone = { fromOffsets: [{ topic: "in", partition: 0, nextOffset: 1n }] };
  await assert.rejects(
    pin(gone),
    refused(/in-0: from 1, it has 2 to 3: retention has passed the start/),
  );
  await assert.rejects(
    pin({ from: time(5), marginMs: 0 }),
    refused(/in-0: its first record, 2, is younger/),
  );
  assert.equal((await placed({})).from, 2n);
});

test("a range that leaves out the beginning warns where there is state", async () => {
  const { pin } = await kafkaWith([10, 20, 30]);
  const request = { fromOffsets: [{ topic: "in", partition: 0, nextOffset: 1n }] };
  const { warnings } = await pin(request, sums);
  assert.match(warnings.join(), /total begin from nothing/);
  assert.deepEqual((await pin({}, sums)).warnings, []);
  assert.deepEqual((await pin(request)).warnings, []);
});

test("a part that reads what it writes itself is refused: its run would wait for itself", async () => {
  const { pin } = await kafkaWith([1, 2]);
  const own = pipeline("own", ({ from }) => {
    from(input).to(output);
    from(input).merge("both", from(output)).to(things("last", 2));
  });
  await assert.rejects(
    pin({}, own),
    /that the same part reads: part main reads out, which it writes itself/,
  );
});

const referenced = (isFirst: boolean) =>
  pipeline("referenced", ({ from }) => {
    from(things("other", 1), { loadFirst: true })
      .merge("a", from(things("third", 1)))
      .to(output);
    from(input, { loadFirst: isFirst })
      .merge("both", from(things("fourth", 2)))
      .to(things("x"));
  });

const makeOthers = (admin: AdminPort): Promise<void> =>
  admin.createTopics(
    ["other", "third", "fourth", "x"].map((topic) => {
      return { topic, partitions: topic === "fourth" ? 2 : 1, replicationFactor: 1, config: {} };
    }),
  );

test("a range cuts no reference topic, unless offsets of it are given", async () => {
  const { pin, admin, during } = await kafkaWith([10, 20, 30, 40, 50]);
  await during(makeOthers(admin));
  const request = { from: time(30), to: time(40), marginMs: 0 };
  const cut = async (isFirst: boolean, more: Partial<RangeRequest> = {}) => {
    const { range, warnings } = await pin({ ...request, ...more }, referenced(isFirst));
    const place = range.places.find(({ topic, partition }) => topic === "in" && partition === 0);
    return { from: place?.from, to: place?.to, warnings };
  };
  assert.deepEqual(await cut(false), { from: 2n, to: 3n, warnings: [] });
  assert.deepEqual(await cut(true), { from: 0n, to: 5n, warnings: [] });
  const toOffsets = [{ topic: "in", partition: 0, nextOffset: 4n }];
  assert.deepEqual(await cut(true, { toOffsets }), { from: 0n, to: 4n, warnings: [] });
});

test("a reference topic whose start retention has eaten is read as far as it is there, and that is said", async () => {
  const { pin, admin, during } = await kafkaWith([10, 20, 30]);
  await during(makeOthers(admin));
  await during(admin.deleteRecords([{ topic: "in", partition: 0, nextOffset: 2n }]));
  const { range, warnings } = await pin({ from: time(5) }, referenced(true));
  assert.equal(range.places.find(({ topic }) => topic === "in")?.from, 2n);
  assert.match(warnings.join(), /^in-0 is read first, from 2: retention has passed its start/);
});
