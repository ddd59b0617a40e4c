// What operators make due, and what becomes of it: between two batches, in the order of due and key.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, seconds } from "#engine";
import { DELETED_KEPT_MS } from "../../../src/engine/core/state.ts";
import { anyTopic, given, StatefulRig } from "../../support/stateful-rig.ts";

interface Seen {
  readonly id: string;
}

const distinctRig = (): StatefulRig<Seen> =>
  new StatefulRig<Seen>((stream) =>
    stream
      .distinct("once", { by: ({ id }) => id, within: seconds(2) })
      .to(anyTopic("out") as never),
  );

test("distinct remembers until its span is over, and forgets behind it", async () => {
  const rig = distinctRig();
  await rig.batch(given("k", { id: "a" }, 1_000), given("k", { id: "b" }, 1_500));
  await rig.checkpoint();
  assert.deepEqual(rig.dues(), ['once k\0["a"]@3000', 'once k\0["b"]@3500']);
  await rig.fire(3_000);
  await rig.checkpoint();
  assert.equal(rig.dues().length, 2);
  await rig.fire(3_001);
  await rig.checkpoint();
  assert.deepEqual(rig.dues(), ['once k\0["b"]@3500']);
  assert.deepEqual(Object.keys(rig.state()["once"] ?? {}), ['k\0["b"]']);
});

test("what distinct forgets is forgotten whether or not a checkpoint was between", async () => {
  const rig = distinctRig();
  await rig.batch(given("k", { id: "a" }, 1_000));
  await rig.fire(9_000);
  await rig.checkpoint();
  assert.deepEqual(rig.state(), {});
});

test("a deleted key's time goes after seven days, and not where the key has come back", async () => {
  const rig = new StatefulRig<number>((stream) =>
    stream
      .mapWithState("steps", {
        state: json<number>(),
        map: (_state: number | null, value) => ({
          state: value === 0 ? null : value,
          emit: [value],
        }),
      })
      .to(anyTopic("out") as never),
  );
  await rig.batch(given("a", 1), given("b", 1), given("c", 1));
  await rig.batch(given("a", 0, 2_000), given("b", 0, 2_000));
  await rig.checkpoint();
  const due = 2_000 + DELETED_KEPT_MS;
  assert.deepEqual(rig.dues(), [`steps a@${String(due)}`, `steps b@${String(due)}`]);
  await rig.batch(given("b", 5, 3_000));
  await rig.fire(due);
  await rig.checkpoint();
  assert.deepEqual(Object.keys(rig.state()["steps"] ?? {}), ["a", "b", "c"]);
  await rig.fire(due + 1);
  await rig.checkpoint();
  assert.deepEqual(Object.keys(rig.state()["steps"] ?? {}), ["b", "c"]);
});
