import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../../src/engine/core/error-table.ts";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { catalogue } from "../../../src/engine/observe/catalogue.ts";
import { persist } from "../../../src/engine/runtime/failure.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { RecordingMeter } from "../../../src/engine/testing/doubles/recording-meter.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";

/** What is told while work on state fails with this code once. */
async function told(code: ErrorCode): Promise<(string | null)[]> {
  const clock = new FakeClock();
  const ports = { clock, random: seededRandom(1), log: new RecordingLog() };
  const whys: (string | null)[] = [];
  let attempts = 0;
  const onWaiting = (why: string | null): void => void whys.push(why);
  const { signal } = new AbortController();
  const work = (): Promise<void> =>
    attempts++ === 0 ? Promise.reject(new MillraceError(code, "")) : Promise.resolve();
  const meter = new RecordingMeter(catalogue);
  const done = persist({ ...ports, meter }, { dependency: "redis", signal, onWaiting }, work);
  await clock.advance(10_000);
  await done;
  return whys;
}

test("a wait says what the error says is missing, and when it is over", async () => {
  assert.deepEqual(await told("MILL_REDIS_UNAVAILABLE"), ["redis is away", null]);
  assert.deepEqual(await told("MILL_REDIS_MEMORY"), ["redis is full", null]);
  assert.deepEqual(await told("MILL_KAFKA_UNAVAILABLE"), ["kafka is away", null]);
  assert.deepEqual(await told("MILL_STATE_REBUILD_LOST"), ["redis is away", null]);
});
