// The alarm of a task, whose time is one of the wall clock, which may be set while it waits.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Alarm } from "../../../src/engine/runtime/calls/alarm.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";

const HOURS_MS = 5 * 3_600_000;

function set(afterMs: number) {
  const clock = new FakeClock();
  let rings = 0;
  new Alarm(clock, new AbortController().signal, () => void rings++).at(clock.now() + afterMs);
  return { clock, rings: () => rings };
}

test("an alarm rings at its time, to the millisecond, however far off", async () => {
  const { clock, rings } = set(HOURS_MS);
  await clock.advance(HOURS_MS - 1);
  assert.equal(rings(), 0);
  await clock.advance(1);
  assert.equal(rings(), 1);
});

test("a wall clock that is set forward is seen within a minute, and one that was back for a while delays nothing", async () => {
  const forward = set(HOURS_MS);
  forward.clock.jump(HOURS_MS);
  await forward.clock.advance(60_000);
  assert.equal(forward.rings(), 1);
  const back = set(90_000);
  back.clock.jump(-HOURS_MS);
  await back.clock.advance(70_000);
  assert.equal(back.rings(), 0);
  back.clock.jump(HOURS_MS);
  await back.clock.advance(50_000);
  assert.equal(back.rings(), 1);
});
