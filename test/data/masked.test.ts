import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { masked } from "../../src/data/masked.ts";

const cases: Readonly<Record<string, [value: unknown, path: string, shown: unknown]>> = {
  "a field": [{ a: "x", b: 1 }, "a", { a: "***", b: 1 }],
  "a nested field": [{ a: { b: "x", c: 1 } }, "a.b", { a: { b: "***", c: 1 } }],
  "items of a list": [
    { a: [{ b: "x" }, { b: null }, {}] },
    "a.b",
    { a: [{ b: "***" }, { b: null }, {}] },
  ],
  "lists in lists": [{ a: [[{ b: "x" }]] }, "a.b", { a: [[{ b: "***" }]] }],
  "a list as a whole": [{ a: ["x", "y"] }, "a", { a: "***" }],
  "the named branch of a union": [
    { a: { "shop.Card": { b: "x" } } },
    "a.b",
    { a: { "shop.Card": { b: "***" } } },
  ],
  "a branch that the path names": [
    { a: { "shop.Card": { b: "x" } } },
    "a.shop.Card.b",
    { a: { "shop.Card": { b: "***" } } },
  ],
  "values of a map": [
    { a: { k: { b: "x" }, l: { b: "y" } } },
    "a.b",
    { a: { k: { b: "***" }, l: { b: "***" } } },
  ],
  "a branch that ends before the path": [{ a: "x" }, "a.b", { a: "***" }],
  "bytes where fields were declared": [{ a: Uint8Array.of(1) }, "a.b", { a: "***" }],
  "a value with a text of its own": [{ a: { toJSON: () => "x" } }, "a.b", { a: "***" }],
  "a text where an object was declared": ["x", "a", "***"],
  "bytes where an object was declared": [Uint8Array.of(1), "a", "***"],
  "a list where an object was declared": [["x", { a: "y" }], "a", ["***", { a: "***" }]],
  "the whole value": [{ a: "x" }, "*", "***"],
  "a value that is null": [null, "*", null],
  "a field that is null": [{ a: null }, "a", { a: null }],
  "a field that is not there": [{ b: 1 }, "a", { b: 1 }],
  "a key that is a prototype's": [
    JSON.parse('{"a":{"__proto__":{"b":"x"}}}'),
    "a.b",
    JSON.parse('{"a":{"__proto__":{"b":"***"}}}'),
  ],
};

for (const [what, [value, path, shown]] of Object.entries(cases))
  test(`masks ${what}`, () => {
    const before = structuredClone(JSON.stringify(value));
    assert.deepEqual(
      JSON.parse(JSON.stringify(masked(value, [path]))),
      JSON.parse(JSON.stringify(shown)),
    );
    assert.equal(JSON.stringify(value), before, "the value itself stays");
  });

test("no shape of a value shows what lies at a personal path", () => {
  const leaf = fc.constantFrom<unknown>("canary", ["canary"], { x: "canary" }, [["canary", 1]]);
  const wrap = fc.constantFrom<(value: unknown) => unknown>(
    (value) => value,
    (value) => [value, null],
    (value) => ({ "shop.Branch": value }),
    (value) => ({ k1: value, k2: value }),
  );
  fc.assert(
    fc.property(leaf, fc.array(wrap, { maxLength: 4 }), fc.boolean(), (value, wraps, isCut) => {
      // A map of texts where an object was declared is no shape of a schema.
      if (isCut && wraps.some((one) => Object.keys(one(1) as object).includes("k2"))) return;
      const around = (of: unknown): unknown => wraps.reduce((inner, one) => one(inner), of);
      const shown = masked({ a: around(isCut ? value : { b: value }), c: 1 }, ["a.b"]);
      assert.ok(!JSON.stringify(shown).includes("canary"), JSON.stringify(shown));
      assert.match(JSON.stringify(shown), /"c":1/);
    }),
  );
});
