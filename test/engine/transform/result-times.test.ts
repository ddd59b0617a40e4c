// The time of what a step with state tells: never older than what it has told of the key before.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { json, type Stream } from "#engine";
import { DELETED_KEPT_MS } from "../../../src/engine/core/state.ts";
import { anyTopic, given, StatefulRig, type Out } from "../../support/stateful-rig.ts";

const out = anyTopic("out");
const TEN = Date.UTC(2026, 0, 5, 10);
const [TEN_PAST, NINE] = [TEN + 300_000, TEN - 3_600_000];

const counting = (s: Stream<string | null, string>): Stream<string | null, number> =>
  s.mapWithState("n", {
    state: json<number>(),
    map: (n: number | null, v: string) => {
      const next = (n ?? 0) + 1;
      return { state: v === "end" ? null : next, emit: v === "quiet" ? [] : [next] };
    },
  });
const rigOf = (draw: (s: Stream<string | null, string>) => Stream<string | null, unknown>) =>
  new StatefulRig<string>((s) => draw(s).to(out as never));
const seen = ({ outputs }: { outputs: readonly Out[] }): unknown[] =>
  outputs.map(({ value, timestamp }) => [value, timestamp]);

test("what mapWithState tells of a late record is as new as the newest of its key", async () => {
  const rig = rigOf(counting);
  const batch = await rig.batch(
    given("a", "x", TEN),
    given("a", "x", TEN_PAST),
    given("a", "x", NINE),
  );
  assert.deepEqual(seen(batch), [
    [1, TEN],
    [2, TEN_PAST],
    [3, TEN_PAST],
  ]);
  // Another key has times of its own.
  assert.deepEqual(seen(await rig.batch(given("b", "x", NINE))), [[1, NINE]]);
});

test("a late record that tells nothing leaves the time, and one that tells nothing may raise it", async () => {
  const rig = rigOf(counting);
  await rig.batch(given("a", "x", TEN), given("a", "quiet", TEN_PAST));
  assert.deepEqual(seen(await rig.batch(given("a", "x", NINE))), [[3, TEN_PAST]]);
});

test("behind a second step with state the time is that of both", async () => {
  const rig = rigOf((s) =>
    counting(s).mapWithState("m", {
      state: json<number>(),
      map: (m: number | null, v) => ({ state: (m ?? 0) + v, emit: [(m ?? 0) + v] }),
    }),
  );
  const batch = await rig.batch(
    given("a", "x", TEN_PAST),
    given("a", "x", NINE),
    given("a", "x", TEN),
  );
  assert.deepEqual(seen(batch), [
    [1, TEN_PAST],
    [3, TEN_PAST],
    [6, TEN_PAST],
  ]);
});

test("a key whose state was deleted keeps its time, in the same batch and in a later one", async () => {
  const rig = rigOf(counting);
  const batch = await rig.batch(given("a", "end", TEN_PAST), given("a", "x", NINE));
  assert.deepEqual(seen(batch), [
    [1, TEN_PAST],
    [1, TEN_PAST],
  ]);
  await rig.batch(given("a", "end", TEN));
  await rig.checkpoint();
  assert.deepEqual(rig.state(), { n: { a: { value: null, timestamp: TEN_PAST } } });
  assert.deepEqual(seen(await rig.batch(given("a", "x", NINE))), [[1, TEN_PAST]]);
});

test("so does one that never had any, once something was told of it", async () => {
  const rig = rigOf((s) =>
    s.mapWithState("n", {
      state: json<number>(),
      map: (_: number | null, v: string) => ({ state: null, emit: v === "quiet" ? [] : [v] }),
    }),
  );
  const batch = await rig.batch(
    given("a", "x", TEN_PAST),
    given("a", "y", NINE),
    given("b", "quiet", TEN),
  );
  assert.deepEqual(seen(batch), [
    ["x", TEN_PAST],
    ["y", TEN_PAST],
  ]);
  assert.deepEqual(batch.outcomes, ["emitted", "emitted", "filtered by n"]);
  await rig.checkpoint();
  assert.deepEqual(Object.keys(rig.state()["n"] ?? {}), ["a"]);
});

test("an aggregate that was deleted keeps its time", async () => {
  const rig = rigOf((s) =>
    s
      .groupByKey()
      .aggregate("open", {
        value: json<number>(),
        init: () => 0,
        add: (sum, v) => (v === "end" ? null : sum + 1),
      })
      .toStream(),
  );
  const batch = await rig.batch(
    given("a", "x", TEN),
    given("a", "end", TEN_PAST),
    given("a", "x", NINE),
  );
  assert.deepEqual(seen(batch), [
    [1, TEN],
    [undefined, TEN_PAST],
    [1, TEN_PAST],
  ]);
});

test("the time of a deleted key is forgotten after a while, by stream time alone", async () => {
  const rig = rigOf(counting);
  await rig.batch(given("a", "end", TEN));
  const edge = TEN + DELETED_KEPT_MS;
  await rig.batch(given("b", "x", edge));
  assert.deepEqual(seen(await rig.batch(given("a", "end", NINE))), [[1, TEN]]);
  await rig.batch(given("b", "x", edge + 1));
  // Its entry is still in the store.
  assert.deepEqual(seen(await rig.batch(given("a", "x", NINE))), [[1, NINE]]);
});

test("of one key no result is older than the one before, whatever the order and the batches", async () => {
  const record = fc.record({
    key: fc.constantFrom("a", "b"),
    value: fc.constantFrom("x", "quiet", "end"),
    timestamp: fc.nat({ max: 50 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { maxLength: 30 }),
      fc.integer({ min: 1, max: 30 }),
      async (all, size) => {
        const rig = rigOf((s) => counting(s).map("same", (n) => n));
        const newest = new Map<string | null, number>();
        for (let at = 0; at < all.length; at += size) {
          const { outputs } = await rig.batch(...all.slice(at, at + size));
          for (const { key, timestamp } of outputs) {
            assert.ok(
              timestamp >= (newest.get(key) ?? 0),
              `${String(timestamp)} of ${String(key)}`,
            );
            newest.set(key, timestamp);
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
