import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal, fromUnscaled } from "../../../src/engine/core/decimal.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { codeOf, outcomeOf } from "./avro-support.ts";

const codec = compileCodec(
  { kind: "tagged-json" },
  { schemas: { get: () => undefined }, writerId: null },
);

const key = fc.oneof(
  fc.string(),
  fc.constantFrom("$d", "$$d", "$i", "$", "__proto__", "constructor"),
);
const leaf = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.boolean(),
  fc.constant(null),
  fc.double(),
  fc.constantFrom(NaN, Infinity, -Infinity, -0),
  fc.bigInt(),
  fc.uint8Array(),
  fc.tuple(fc.bigInt(), fc.nat(9)).map(([unscaled, scale]) => fromUnscaled(unscaled, scale)),
);
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("value")),
    fc.array(fc.tuple(key, tie("value"))).map((entries) => Object.fromEntries(entries)),
  ),
}));

test("whatever state holds comes back as it was: decimals, bigints, bytes, odd numbers and keys", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      assert.deepEqual(codec.decode(codec.encode(value)), value);
    }),
    { numRuns: 1000 },
  );
});

test("a user's keys that look like marks stay apart from marks", () => {
  const value = { $d: "1.5", $$d: 1, a: { $i: "5" } };
  assert.deepEqual(codec.decode(codec.encode(value)), value);
  assert.equal(codec.encode({ a: decimal("1.50") })?.toString(), '{"a":{"$d":"1.5"}}');
});

test("a field that is undefined is absent", () => {
  assert.deepEqual(codec.decode(codec.encode({ a: undefined, b: 1 })), { b: 1 });
});

test("what would come back as something else is refused", () => {
  const itself: { me?: unknown } = {};
  itself.me = itself;
  class Money {}
  for (const value of [
    undefined,
    [undefined],
    Array(1),
    new Date(),
    new Map(),
    new Money(),
    () => 1,
    itself,
  ])
    assert.equal(
      codeOf(() => codec.encode(value)),
      "MILL_ENCODE_VALUE",
    );
});

test("any bytes at all give a value or a DecodeError", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void outcomeOf(codec, Buffer.from(bytes))));
  for (const text of ['{"$d":"x"}', '{"$i":"1.5"}', '{"$i":5}', '{"$z":"1"}'])
    assert.equal(
      codeOf(() => codec.decode(Buffer.from(text))),
      "MILL_DECODE_JSON",
    );
});

test("what has a bound can be written, within it", () => {
  const bounds = { some: 0, none: 0 };
  fc.assert(
    fc.property(fc.oneof(leaf, fc.constant(-Number.MAX_VALUE), fc.constant(undefined)), (value) => {
      const bound = codec.bytesMax?.(value) ?? null;
      bounds[bound === null ? "none" : "some"]++;
      if (bound !== null) assert.ok((codec.encode(value) as Buffer).length <= bound);
    }),
    { numRuns: 1_000 },
  );
  assert.ok(bounds.some > 100 && bounds.none > 100);
});

test("what is nested deeper than anything that walks a value can follow is neither read nor written", () => {
  const deep = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  for (const text of [deep(1_001), deep(100_000), `{"a":${deep(50_000)},"$x":1}`])
    assert.equal(
      codeOf(() => codec.decode(Buffer.from(text))),
      "MILL_DECODE_JSON",
    );
  const value = codec.decode(Buffer.from(deep(1_000)));
  assert.deepEqual(codec.decode(codec.encode(value)), value);
  assert.equal(
    codeOf(() => codec.encode([value])),
    "MILL_ENCODE_VALUE",
  );
});
