// M1, M2: markers in records and bytes. A worker writes at most one a second to each partition of a topic, with a watermark for each
// of its tasks in it, and none where nothing closes by them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { measureAges, measureMarkers } from "../../../bench/time/markers.ts";

/** Length, attributes, two deltas, no key, no value, a header with its name and the length of its value. */
const FRAME_BYTES = 13;
/** The number of a task below 4,096, and a time of before the year 2109. */
const TASK_BYTES = 2 + 6;

for (const [partitions, workers] of [
  [4, 1],
  [4, 2],
  [32, 2],
] as const)
  test(`${String(partitions)} partitions, ${String(workers)} workers: markers stay within their bound`, async () => {
    const of = { partitions, workers };
    const always = await measureMarkers({ ...of, behind: "sessions" });
    assert.ok(always.markersPerSecond <= partitions, "one a second, worker and partition");
    assert.ok(always.markersPerSecond > 0.8 * partitions, "time moves each second");
    const tasks = Math.ceil(partitions / workers);
    assert.ok(always.bytesEach <= FRAME_BYTES + tasks * TASK_BYTES, String(always.bytesEach));
    assert.ok(always.bytesEach >= tasks * (TASK_BYTES - 1), "each of its tasks is in it");
  });

test("M2: markers go out when they close something: of windows of a minute once in a minute", async () => {
  const of = { partitions: 4, workers: 2, behind: "minutes" } as const;
  const { markersPerSecond } = await measureMarkers(of);
  assert.ok(markersPerSecond >= 4 / 60, String(markersPerSecond));
  // Its tasks may pass the end of a minute in different seconds.
  assert.ok(markersPerSecond <= (4 * 3) / 60, String(markersPerSecond));
});

test("S3: an age of 0 takes nothing, one of up to an hour seven bytes at most", () => {
  for (const { ageMs, bytes } of measureAges()) {
    if (ageMs === 0) assert.equal(bytes, 0);
    else if (ageMs <= 3_600_000) assert.ok(bytes >= 4 && bytes <= 7, `${String(ageMs)}: ${bytes}`);
    else assert.ok(bytes <= 10, `${String(ageMs)}: ${bytes}`);
  }
});
