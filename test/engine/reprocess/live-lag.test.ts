// How long a live pipeline is behind, seen from outside each second.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import { LagWatch } from "../../../src/engine/reprocess/control/live-lag.ts";
import { things } from "../../support/plans.ts";

const copy = pipeline("copy", ({ from }) => void from(things("in", 1)).to(things("out", 1)));

function watched() {
  const at = { now: 0, high: 0n, committed: 0n, members: 1 };
  const place = { topic: "in", partition: 0 };
  const admin = {
    describeGroup: (group: string) =>
      Promise.resolve({ group, state: "", members: Array.from({ length: at.members }) }),
    watermarks: () => Promise.resolve([{ ...place, low: 0n, high: at.high }]),
    committed: () => Promise.resolve([{ ...place, nextOffset: at.committed, metadata: "" }]),
  } as unknown as AdminPort;
  const watch = new LagWatch(copy.plan(), admin, { monotonic: () => at.now });
  const look = (change: Partial<typeof at>): Promise<number | null> => {
    Object.assign(at, change);
    return watch.measure();
  };
  return { look };
}

test("lag is the time since the log first reached beyond what is decided", async () => {
  const { look } = watched();
  assert.equal(await look({ now: 0, high: 10n, committed: 10n }), 0);
  assert.equal(await look({ now: 1_000, high: 20n }), 0);
  assert.equal(await look({ now: 2_000, high: 30n }), 1_000);
  assert.equal(await look({ now: 3_000, high: 40n, committed: 15n }), 2_000);
  // Up to where the log was a second ago: what came since waits for so long.
  assert.equal(await look({ now: 4_000, high: 50n, committed: 30n }), 1_000);
  assert.equal(await look({ now: 5_000, committed: 50n }), 0);
});

test("a pipeline that stands still is further behind each second, although nothing more comes", async () => {
  const { look } = watched();
  for (let second = 0; second < 5; second++)
    assert.equal(await look({ now: second * 1_000, high: 5n }), second * 1_000);
});

test("without members nobody is live, and who comes back begins at zero", async () => {
  const { look } = watched();
  await look({ now: 0, high: 5n });
  assert.equal(await look({ now: 9_000, members: 0 }), null);
  assert.equal(await look({ now: 10_000, members: 1 }), 0);
});
