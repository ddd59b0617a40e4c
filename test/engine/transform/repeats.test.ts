// A repeat that says something else than the first is told apart, where that is asked for.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal, pipeline, seconds, type DistinctOptions } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { contentOf } from "../../../src/engine/transform/calls/content.ts";
import { anyTopic, given, StatefulRig } from "../../support/stateful-rig.ts";

const out = anyTopic("out");
type Any = Readonly<Record<string, unknown>>;
type OnRepeat = DistinctOptions<Any>["onRepeat"];

const rigOf = (onRepeat?: OnRepeat): StatefulRig<Any> =>
  new StatefulRig<Any>((s) => {
    const options = { by: (v: Any) => v["id"] as string, within: seconds(1) };
    s.distinct("once", onRepeat === undefined ? options : { ...options, onRepeat }).to(
      out as never,
    );
  });
const outcomesOf = async (rig: StatefulRig<Any>, ...values: Any[]): Promise<string[]> =>
  (await rig.batch(...values.map((value) => given("k", value)))).outcomes;
const CONFLICT = "dead-lettered at once MILL_DISTINCT_CONFLICT";

test("without onRepeat, and with drop, every repeat is dropped, whatever it says", async () => {
  for (const onRepeat of [undefined, "drop"] as const) {
    const rig = rigOf(onRepeat);
    const outcomes = await outcomesOf(rig, { id: "a", n: 1 }, { id: "a", n: 1 }, { id: "a", n: 2 });
    assert.deepEqual(outcomes, ["emitted", "deduplicated", "deduplicated"]);
    await rig.checkpoint();
    const [stored] = Object.values(rig.state()["once"] ?? {});
    // As 0.1.0 stores it.
    assert.deepEqual(stored, { value: true, timestamp: 1_000 });
  }
});

test("a repeat with the first's content is a repeat, and one with other content is a letter", async () => {
  const rig = rigOf({ conflict: "dead-letter" });
  const values = [
    { id: "a", n: 1 },
    { n: 1, id: "a" },
    { id: "a", n: 2 },
    { id: "b", n: 2 },
  ];
  assert.deepEqual(await outcomesOf(rig, ...values), [
    "emitted",
    "deduplicated",
    CONFLICT,
    "emitted",
  ]);
  // The first stays the one that is compared with.
  await rig.checkpoint();
  assert.deepEqual(await outcomesOf(rig, { id: "a", n: 2 }, { id: "a", n: 1 }), [
    CONFLICT,
    "deduplicated",
  ]);
});

test("a conflict that is to be logged is dropped like any repeat, and counted", async () => {
  const rig = rigOf({ conflict: "log" });
  assert.deepEqual(await outcomesOf(rig, { id: "a", n: 1 }, { id: "a", n: 2 }, { id: "a", n: 1 }), [
    "emitted",
    "deduplicated",
    "deduplicated",
  ]);
  assert.deepEqual(rig.broken, ["once"]);
});

test("when the span is over there is nothing to conflict with", async () => {
  const rig = rigOf({ conflict: "dead-letter" });
  await rig.batch(given("k", { id: "a", n: 1 }, 1_000));
  assert.deepEqual((await rig.batch(given("k", { id: "a", n: 2 }, 2_001))).outcomes, ["emitted"]);
});

test("content names what two records must agree in", async () => {
  const rig = rigOf({ conflict: "dead-letter", content: (v) => [v["n"] as number] });
  const values = [
    { id: "a", n: 1, seen: 1 },
    { id: "a", n: 1, seen: 2 },
    { id: "a", n: 2, seen: 1 },
  ];
  assert.deepEqual(await outcomesOf(rig, ...values), ["emitted", "deduplicated", CONFLICT]);
});

test("of what 0.1.0 has stored no content is known, so it never conflicts", async () => {
  const before = rigOf();
  await outcomesOf(before, { id: "a", n: 1 });
  const { value } = (await before.checkpoint(), Object.values(before.state()["once"] ?? {})[0]) as {
    value: unknown;
  };
  assert.equal(value, true);
  const rig = rigOf({ conflict: "dead-letter" });
  await rig.put("once", Buffer.from('k\0["a"]'), { value, timestamp: 1_000, dueMs: null });
  assert.deepEqual(await outcomesOf(rig, { id: "a", n: 9 }, { id: "a", n: 8 }), [
    "deduplicated",
    "deduplicated",
  ]);
});

test("what has no content to compare is a letter, also as the first", async () => {
  const rig = rigOf({ conflict: "dead-letter" });
  const RESULT = "dead-lettered at once MILL_TRANSFORM_RESULT";
  assert.deepEqual(await outcomesOf(rig, { id: "a", at: new Date(0) }, { id: "a", n: 1 }), [
    RESULT,
    "emitted",
  ]);
});

test("a word that nobody knows is refused when the pipeline is built", () => {
  const flow = pipeline("p", ({ from }) =>
    from(anyTopic("in"))
      .distinct("once", {
        by: () => 1,
        within: seconds(1),
        onRepeat: { conflict: "deadletter" as never },
      })
      .to(out),
  );
  assert.throws(
    () => flow.plan(),
    (error: unknown) => {
      const [problem] = error instanceof ConfigErrors ? error.problems : [];
      return /distinct "once": expected conflict: "dead-letter" or "log"/.test(
        problem?.message ?? "",
      );
    },
  );
});

test("equal content has one hash, and other content another", () => {
  const same: [unknown, unknown][] = [
    [
      { a: 1, b: [1, 2] },
      { b: [1, 2], a: 1 },
    ],
    [{ a: 1 }, { a: 1, b: undefined }],
    [decimal("1.50"), decimal("1.5")],
    [new Uint8Array([1, 2]), Buffer.from([1, 2])],
    [0, -0],
  ];
  for (const [a, b] of same) assert.equal(contentOf(a), contentOf(b));
  const all = [
    0,
    "0",
    0n,
    false,
    null,
    [],
    {},
    [0],
    ["0"],
    { a: 0 },
    { a: "0" },
    "",
    "[]",
    decimal("0"),
    new Uint8Array([0]),
    NaN,
    "NaN",
    [[0]],
    [0, 0],
    { a: null },
  ];
  assert.equal(new Set(all.map(contentOf)).size, all.length);
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
      assert.equal(contentOf(a) === contentOf(b), isSame);
    }),
  );
  // Stored hashes must stay what they are.
  assert.equal(contentOf({ id: "a", n: 1.5, when: null, tags: ["x"] }), "a/niYmEBcy1fO2OdJcf4MS");
});

/** Fields by name, and -0 as 0. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value === 0 ? 0 : value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { fields: fields.map(([name, one]) => [name, sorted(one)]) };
}
