// Stores that wait for time, on real servers: `state get` lists the windows, sessions, records and timers of a key, `state verify` names
// what was done to their copies, `state rebuild` mends it, and windows close right then. test/long/timed-state.ts has every damage.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { appOf } from "../../support/app.ts";
import { damages, type Damage } from "../../support/copy-damage.ts";
import { eventually } from "../../support/eventually.ts";
import { sharedStack } from "../../support/stack.ts";

const prefix = `timed-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { visits } = await import("../../support/apps/timed.ts");
const { sizeOf, TimedScene } = await import("../../support/timed-scene.ts");
const { assertNamed, jsonLines, TimedState } = await import("../../support/timed-state.ts");

interface Parts {
  readonly verdict: string;
  readonly changelog: readonly Record<string, unknown>[];
}

/** The parts that each store has of a key, by the names that they are shown with. */
const shown: Readonly<Record<string, readonly string[]>> = {
  "views-of-page": ["start", "end", "value", "closes"],
  stay: ["start", "end", "value", "closes"],
  paid: ["side", "time", "origin", "isMatched", "value"],
  "leaving-order": ["time", "topic", "partition", "offset", "value", "worked"],
  "leaving-timers": ["timer", "clock", "due"],
  calm: ["since", "time", "value", "goesOn"],
};

test("copies of windows, sessions, a join, timers and suppressed counts are shown, verified and mended", async (t) => {
  const owner = { after: (work: () => Promise<void>): void => t.after(work) };
  const app = appOf("timed", { TEST_TOPICS: prefix });
  const scene = await TimedScene.open(owner, app, await sharedStack());
  const worker = await scene.worker(owner);
  const state = new TimedState(scene);
  t.after(() => state.redis.disconnect());
  const moved = async (to: bigint): Promise<void> => {
    await eventually("visits come", async () =>
      (await scene.figures.end(visits.name)) >= to ? true : null,
    );
    await scene.feeder.pause();
    await scene.figures.drained();
  };
  await moved(400n);
  await state.assertSame();

  // Of the visit that was sent last, in whose windows time stands still.
  const raw = await scene.figures.raw(visits.name);
  const last = raw.reduce((a, b) => (a.timestamp > b.timestamp ? a : b));
  const { page } = JSON.parse(String(last.value)) as { page: string };
  await Promise.all(
    Object.entries(shown).map(async ([store, names]) => {
      const key = store === "views-of-page" ? page : String(last.key);
      const got = await state.command("get", store, "--key", key, "--json");
      assert.equal(got.code, 0, got.err.join("\n"));
      const [parts] = jsonLines<Parts>(got);
      assert.equal(parts?.verdict, "same", store);
      assert.deepEqual(Object.keys(parts.changelog[0] ?? {}), names, store);
    }),
  );

  // Each store has a damage of its own.
  const named = (name: string): Damage =>
    damages.find((one) => one.name === name) ?? assert.fail(name);
  const done = new Map([
    ["views-of-page", named("a due is put off")],
    ["stay", named("a value is changed")],
    ["paid", named("an entry is gone")],
    ["leaving-order", named("an entry is too many")],
    ["leaving-timers", named("a due is gone")],
    ["calm", named("the copy is gone")],
    ["visits-of-visitor", named("the position is ahead")],
  ]);
  const { found: sound } = await state.verified();
  for (const [store, damage] of done) await state.damage(damage, (copy) => copy.store === store);
  const { code, found } = await state.verified();
  assert.equal(code, 1);
  assert.equal(found.length, sound.length);
  for (const [store, damage] of done) {
    const own = found.filter((one) => one.store === store);
    const touched = state.copies.filter(
      (copy) =>
        copy.store === store &&
        sound.some(
          (one) => one.store === store && one.partition === copy.partition && one.keys > 0,
        ),
    );
    assert.ok(touched.length > 0, store);
    assertNamed(own, touched, damage);
  }
  const made = await state.command("rebuild");
  assert.equal(made.code, 0, made.err.join("\n"));
  await state.assertSame();
  const end = await scene.figures.end(visits.name);
  scene.feeder.resume();
  await moved(end + 300n);
  t.diagnostic(`${String(sizeOf(await scene.reached()))} rows exact`);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
});
