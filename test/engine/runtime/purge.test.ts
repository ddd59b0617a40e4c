// How far the topic of a table is purged, by what was seen of its progress.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StartOffset } from "../../../src/engine/core/kafka.ts";
import type { WorkerContext } from "../../../src/engine/runtime/context.ts";
import { Purge } from "../../../src/engine/runtime/housekeeping/purge.ts";
import type { AnyPart } from "../../../src/engine/runtime/task/part.ts";

const topic = "shop-rows-sink";

/** A part of one table whose task is where `at` says; looks a minute apart, purged behind what is two minutes old. */
function scene() {
  const at = { progress: 0n, now: 0, low: 0n };
  const purged: StartOffset[] = [];
  const admin = {
    watermarks: () => Promise.resolve([{ topic, partition: 0, low: at.low, high: 1_000n }]),
    deleteRecords: (below: readonly StartOffset[]) => {
      purged.push(...below);
      for (const { nextOffset } of below) at.low = nextOffset;
      return Promise.resolve();
    },
  };
  const task = { partition: 0, positions: () => [{ topic, committed: at.progress }] };
  const part = {
    bound: { plan: {}, part: { sources: [{ name: topic, internal: "sink" }] } },
    tasks: [task],
  } as unknown as AnyPart;
  const context = {
    ...{ admin, meter: { count: () => undefined } },
    ...{ clock: { monotonic: () => at.now }, limits: { sinkPurgeAfterMs: 120_000 } },
  } as unknown as WorkerContext;
  const purge = new Purge(context, () => [part]);
  /** One minute later it is so far. */
  const look = async (progress: bigint): Promise<bigint> => {
    at.now += 60_000;
    at.progress = progress;
    await purge.run();
    return at.low;
  };
  return { look, purged };
}

test("it is purged to where progress was when it was old enough", async () => {
  const { look, purged } = scene();
  const lows = [];
  for (const progress of [10n, 20n, 30n, 30n, 30n, 30n]) lows.push(await look(progress));
  assert.deepEqual(lows, [0n, 0n, 10n, 20n, 30n, 30n]);
  assert.equal(purged.length, 3);
});

test("progress that was taken back is no progress, however old", async () => {
  const { look } = scene();
  const lows = [];
  for (const progress of [50n, 60n, 20n, 20n, 20n, 20n]) lows.push(await look(progress));
  assert.deepEqual(lows, [0n, 0n, 0n, 0n, 20n, 20n]);
});
