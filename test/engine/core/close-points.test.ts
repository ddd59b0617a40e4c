// M2: a marker is due when a window behind closes by it, and not before.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  hopping,
  json,
  pipeline,
  seconds,
  session,
  string,
  topic,
  tumbling,
} from "#engine";
import { closePointsOf, markIsDue } from "../../../src/engine/core/close-points.ts";
import type { PlanTopic } from "../../../src/engine/core/plan.ts";
import type { WindowOf } from "../../../src/engine/define/windows.ts";

const minute = [{ everyMs: 60_000, afterMs: 5_000 }];

test("M2: windows of one size need a marker at their close, at n * advance + grace, and none between", () => {
  assert.equal(markIsDue(minute, 5_000, 64_999), false);
  assert.equal(markIsDue(minute, 5_000, 65_000), true);
  assert.equal(markIsDue(minute, 65_000, 124_999), false);
  assert.equal(markIsDue(minute, 64_999, 600_000), true);
  // Before the epoch, by a grace.
  assert.equal(markIsDue(minute, -56_000, -55_001), false);
  assert.equal(markIsDue(minute, -56_000, -55_000), true);
});

test("M2: the first watermark, the end of time, and each move where anything else uses time", () => {
  assert.equal(markIsDue(minute, -Infinity, 1), true);
  assert.equal(markIsDue(minute, 65_001, Infinity), true);
  assert.equal(markIsDue(undefined, 65_001, 65_002), true);
  for (const points of [minute, undefined]) {
    assert.equal(markIsDue(points, 65_000, 65_000), false);
    assert.equal(markIsDue(points, 65_000, 1), false);
    assert.equal(markIsDue(points, Infinity, Infinity), false);
  }
});

test("points of one rhythm are one", () => {
  const all = [
    { everyMs: 10, afterMs: 12 },
    { everyMs: 10, afterMs: 2 },
    { everyMs: 20, afterMs: 2 },
  ];
  assert.deepEqual(closePointsOf(all), [
    { everyMs: 10, afterMs: 2 },
    { everyMs: 20, afterMs: 2 },
  ]);
});

interface View {
  readonly shop: string;
}
const shape = { key: string, partitions: 2, owner: "tests" };
const views = topic("views", { ...shape, value: json<View>() });
const rows = topic("rows", { ...shape, value: json<{ n: number }>() });

/** The topics between the parts of a window behind a key, and of another one behind its results. */
function pointsOf(
  first: WindowOf,
  second: WindowOf | null,
): Record<string, PlanTopic["closePoints"]> {
  const flow = pipeline("flow", ({ from }) => {
    const counts = from(views)
      .groupBy("by-shop", ({ shop }) => shop)
      .windowedBy(first)
      .count("n", { emit: "close" })
      .toStream("row", (n) => ({ n }));
    if (second === null) return counts.to(rows);
    return counts
      .groupBy("all", () => "all")
      .windowedBy(second)
      .sum("sum", ({ n }) => n, { emit: "close" })
      .toStream("row-of-all", (n) => ({ n }))
      .to(rows);
  });
  const topics = flow.plan().parts.flatMap(({ sources }) => sources);
  return Object.fromEntries(
    topics
      .filter(({ internal }) => internal === "repartition")
      .map(({ name, closePoints }) => [name.replace(/flow-|-repartition/g, ""), closePoints]),
  );
}

test("M2: the points of a topic are those of all windows behind it, with the delays on the way", () => {
  const ten = tumbling({ size: seconds(10), grace: seconds(2) });
  const minutely = hopping({ size: seconds(90), advance: seconds(60), grace: seconds(1) });
  assert.deepEqual(pointsOf(ten, null), { "by-shop": [{ everyMs: 10_000, afterMs: 2_000 }] });
  assert.deepEqual(pointsOf(ten, minutely), {
    "by-shop": [
      { everyMs: 10_000, afterMs: 2_000 },
      { everyMs: 60_000, afterMs: 33_000 },
    ],
    all: [{ everyMs: 60_000, afterMs: 31_000 }],
  });
  const sessions = session({ gap: seconds(30), grace: seconds(0) });
  const daily = calendar({ unit: "day", timeZone: "Europe/Berlin", grace: seconds(0) });
  for (const other of [sessions, daily])
    assert.deepEqual(pointsOf(ten, other), { "by-shop": undefined, all: undefined });
});
