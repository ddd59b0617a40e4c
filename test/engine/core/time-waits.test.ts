// The inputs that operators wait for: the slowest source partition, or the slowest task that writes a topic between parts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hours, json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { END_OF_TIME, NO_TIME, type StoredTime } from "../../../src/engine/core/event-time.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { Plan } from "../../../src/engine/core/plan.ts";
import { encodeMetadata, timeOfPart } from "../../../src/engine/core/task-inputs.ts";
import {
  closingBehind,
  CommittedWaits,
  PartTimeWaits,
  slowestWaits,
  waitsForTime,
} from "../../../src/engine/core/time-waits.ts";

interface View {
  readonly shop: string;
}
const own = { key: string, owner: "tests" };
const views = topic("views", { ...own, value: json<View>(), partitions: 3 });
const clicks = topic("clicks", { ...own, value: json<View>(), partitions: 3 });
const out = (name: string) => topic(name, { ...own, value: json<number>(), partitions: 3 });
const tens = tumbling({ size: seconds(10), grace: seconds(2) });

const plan = pipeline("p", ({ from }) => {
  from(views)
    .groupByKey()
    .windowedBy(tens)
    .count("by-user", { emit: "close" })
    .toStream("user-row", (n) => n)
    .to(out("users"));
  from(views)
    .groupBy("by-shop", ({ shop }) => shop)
    .windowedBy(tens)
    .count("by-shop-count", { emit: "close" })
    .toStream("shop-row", (n) => n)
    .groupByKey()
    .windowedBy(tumbling({ size: hours(1), grace: seconds(0) }))
    .sum("by-hour", (n) => n, { emit: "close" })
    .toStream("hour-row", (n) => n)
    .to(out("hours"));
}).plan();
const TOPIC = "p-by-shop-repartition";

const partOf = (name: string, of: Plan = plan) =>
  of.parts.find((part) => part.name === name) ?? assert.fail(name);
const taskOf = (
  part: string,
  partition: number,
  times: Readonly<Record<string, StoredTime>>,
  hasQueued = false,
) => ({
  ...{ partition, hasQueued },
  timeOf: (name: string) => {
    const stored = times[name];
    return stored === undefined ? undefined : timeOfPart(partOf(part))(name, stored);
  },
});
const short = ({ topic: of, partition, isWriter, timeMs }: ReturnType<typeof slowestWaits>[0]) => [
  `${of} ${isWriter ? "writer" : "partition"} ${String(partition)}`,
  timeMs,
];

test("an operator on a source waits for the partition of its task; over tasks the slowest counts", () => {
  const waits = new PartTimeWaits(partOf("main"));
  const all = [0, 1, 2].flatMap((n) =>
    waits.of(taskOf("main", n, { views: { time: [50, 7, 90][n] as number } })),
  );
  assert.equal(all.length, 3);
  const [slowest, ...more] = slowestWaits(all);
  assert.ok(slowest !== undefined && more.length === 0);
  assert.equal(slowest.operator, "by-user");
  assert.deepEqual(short(slowest), ["views partition 1", 7]);
  assert.equal(slowest.fastestMs, 90);
});

test("behind a topic between parts it waits for the slowest task that writes it, one not heard of first", () => {
  const waits = new PartTimeWaits(partOf("by-shop"));
  const slowestOf = (channels: readonly number[]) =>
    slowestWaits(waits.of(taskOf("by-shop", 0, { [TOPIC]: { channels } })));
  const [shop, hour] = slowestOf([30, 10, 20]);
  assert.ok(shop !== undefined && hour !== undefined);
  assert.deepEqual([shop.operator, hour.operator], ["by-shop-count", "by-hour"]);
  for (const one of [shop, hour]) assert.deepEqual(short(one), [`${TOPIC} writer 1`, 10]);
  assert.equal(shop.fastestMs, 30);
  assert.deepEqual([shop.delayMs, hour.delayMs], [0, 2_000]);
  const [unheard] = slowestOf([30, NO_TIME, 20]);
  assert.ok(unheard !== undefined);
  assert.deepEqual(short(unheard), [`${TOPIC} writer 1`, NO_TIME]);
  const [ended] = slowestOf([END_OF_TIME, 10, END_OF_TIME]);
  assert.equal(ended?.fastestMs, 10, "what has ended is no measure");
  assert.deepEqual(slowestOf([END_OF_TIME, END_OF_TIME, END_OF_TIME]), []);
});

test("W1: a source without a partition for the task keeps nobody waiting", () => {
  const merged = pipeline("m", ({ from }) => {
    from(views)
      .merge("both", from(clicks))
      .groupByKey()
      .windowedBy(tens)
      .count("all", { emit: "close" })
      .toStream("row", (n) => n)
      .to(out("merged"));
  }).plan();
  const part = partOf("main", merged);
  const waits = new PartTimeWaits(part);
  const timeOf = timeOfPart(part);
  const times: Readonly<Record<string, StoredTime>> = { views: { time: 9 }, clicks: { time: 3 } };
  const waitOf = (partition: number) =>
    waits.of({
      ...{ partition, hasQueued: false },
      timeOf: (name) =>
        name === "clicks" && partition > 1 ? undefined : timeOf(name, times[name] as StoredTime),
    });
  assert.deepEqual(waitOf(0).map(short), [["clicks partition 0", 3]]);
  assert.deepEqual(waitOf(2).map(short), [["views partition 2", 9]]);
});

test("behind queued keys it waits for these, however far its input is", () => {
  const calling = pipeline("c", ({ from }) => {
    from(views)
      .mapAsync("ask", async (view) => view, {
        ...{ concurrency: 1, timeout: seconds(1) },
        retry: { mode: "park-key", attempts: 3, backoff: { first: seconds(1), max: seconds(5) } },
      })
      .groupByKey()
      .windowedBy(tens)
      .count("asked", { emit: "close" })
      .toStream("row", (n) => n)
      .to(out("asked"));
  }).plan();
  const waits = new PartTimeWaits(partOf("main", calling));
  const timeOf = timeOfPart(partOf("main", calling));
  const of = (partition: number, time: number, hasQueued: boolean) =>
    waits.of({ partition, hasQueued, timeOf: (name) => timeOf(name, { time }) });
  const [slowest] = slowestWaits([...of(0, 5, false), ...of(1, 90, true)]);
  assert.ok(slowest !== undefined);
  assert.deepEqual([slowest.partition, slowest.isQueued], [1, true]);
});

const ledger = emptyLedger();
const stored = (part: string, name: string, partition: number, time: StoredTime) => ({
  ...{ part, topic: name, partition },
  metadata: encodeMetadata({ owner: "w", ledger, time }),
});

test("by committed progress a wait leads through the topics between parts to the source partition", () => {
  const found = new CommittedWaits(plan.parts, [
    ...[20_000, 8_000, 30_000].map((time, n) => stored("main", "views", n, { time })),
    // The marker of the second task for 8,000 closes nothing, so it has not been written.
    ...[0, 1, 2].map((n) => stored("by-shop", TOPIC, n, { channels: [20_000, 5_000, 30_000] })),
  ]).all();
  const shown = found.map(({ part, operator, topic: of, partition, isWriter, through }) => {
    return { part, operator, at: `${of}-${String(partition)}`, isWriter, through };
  });
  const source = { at: "views-1", isWriter: false };
  assert.deepEqual(shown, [
    { part: "main", operator: "by-user", ...source, through: [] },
    { part: "by-shop", operator: "by-shop-count", ...source, through: [TOPIC] },
    { part: "by-shop", operator: "by-hour", ...source, through: [TOPIC] },
  ]);
});

test("a task that has said more than its reader has read is named itself", () => {
  const [, shop] = new CommittedWaits(plan.parts, [
    ...[50_000, 40_000, 50_000].map((time, n) => stored("main", "views", n, { time })),
    ...[0, 1, 2].map((n) => stored("by-shop", TOPIC, n, { channels: [50_000, 5_000, 50_000] })),
  ]).all();
  assert.ok(shop !== undefined);
  assert.deepEqual(short(shop), [`${TOPIC} writer 1`, 5_000]);
  assert.deepEqual(shop.through, []);
});

test("before anything has run nothing has a time, and each wait has its place", () => {
  const found = new CommittedWaits(plan.parts, []).all();
  assert.deepEqual(
    found.map(({ operator, timeMs }) => [operator, timeMs]),
    [
      ["by-user", NO_TIME],
      ["by-shop-count", NO_TIME],
      ["by-hour", NO_TIME],
    ],
  );
});

test("what is late behind a topic is found through the topics between parts; nothing waits where nothing closes", () => {
  assert.deepEqual(closingBehind(plan.parts, "views").toSorted(), [
    "by-hour",
    "by-shop-count",
    "by-user",
  ]);
  assert.deepEqual(closingBehind(plan.parts, TOPIC), ["by-shop-count", "by-hour"]);
  const once = pipeline("once", ({ from }) => {
    from(views)
      .distinct("first", { by: ({ shop }) => shop, within: seconds(10) })
      .to(topic("firsts", { ...own, value: json<View>(), partitions: 3 }));
  }).plan();
  assert.ok(!once.parts.some(waitsForTime));
  assert.deepEqual(new CommittedWaits(once.parts, []).all(), []);
});
