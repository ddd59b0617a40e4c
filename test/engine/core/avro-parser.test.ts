import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAvro } from "../../../src/engine/core/avro-parser.ts";
import type { AvroShape, RecordShape } from "../../../src/engine/core/avro-shape.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

const recordOf = (...types: unknown[]): AvroSchema => ({
  type: "record",
  name: "R",
  namespace: "shop",
  fields: types.map((type, i) => ({ name: `f${String(i)}`, type })),
});
const shapesOf = (...types: unknown[]): readonly AvroShape[] =>
  (parseAvro(recordOf(...types)) as RecordShape).fields.map(({ shape }) => shape);
const refusal = (schema: AvroSchema): RegExp | string => {
  try {
    parseAvro(schema);
  } catch (error) {
    return (error as Error).message.replace(/^[^:]*: /, "");
  }
  return "accepted";
};

test("names take the namespace around them, and may be used before the record is closed", () => {
  const [card, again, itself] = shapesOf({ type: "enum", name: "Kind", symbols: ["A"] }, "Kind", [
    "null",
    "shop.R",
  ]);
  assert.equal(card?.kind === "enum" && card.name, "shop.Kind");
  assert.equal(again, card);
  assert.equal(itself?.kind === "union" && itself.branches[1]?.kind, "record");
});

test("logical types are known only on what they may stand on", () => {
  const [date, wrong, decimal, tooWide] = shapesOf(
    { type: "int", logicalType: "date" },
    { type: "string", logicalType: "date" },
    { type: "bytes", logicalType: "decimal", precision: 12, scale: 2 },
    { type: "fixed", name: "F", size: 2, logicalType: "decimal", precision: 9 },
  );
  assert.deepEqual(date, { kind: "int", logical: { kind: "date" } });
  assert.deepEqual(wrong, {
    kind: "string",
    logical: null,
    ignored: "the logical type date stands on int, not on string",
  });
  assert.deepEqual(decimal, {
    kind: "bytes",
    logical: { kind: "decimal", precision: 12, scale: 2 },
  });
  assert.equal(tooWide?.kind === "fixed" && tooWide.logical, null);
});

test("a union is wrapped only when plain values could not tell its branches apart", () => {
  const wrapped = shapesOf(
    ["null", "string"],
    ["null", "int", "string", { type: "bytes", logicalType: "decimal", precision: 4 }],
    ["int", "double"],
    ["string", { type: "int", logicalType: "date" }],
    ["long", { type: "map", values: "int" }],
  ).map((shape) => shape.kind === "union" && shape.wrapped);
  assert.deepEqual(wrapped, [false, false, true, true, false]);
});

test("a mistake is named with its field", () => {
  assert.equal(refusal(recordOf("int", "nowhere.Card")), 'f1: there is no type "nowhere.Card"');
  assert.equal(
    refusal(recordOf({ type: "array", items: ["int", "int"] })),
    "f0[]: a union names the same type twice",
  );
  assert.equal(
    refusal({ type: "record", name: "R", fields: [{ name: "a-b", type: "int" }] }),
    "a field needs a name of letters, digits and _",
  );
  assert.match(
    String(refusal({ type: "record", name: "R", fields: [{ name: "__proto__", type: "int" }] })),
    /^__proto__: /,
  );
  assert.match(String(refusal({ type: "enum", name: "E", symbols: ["a b"] })), /symbols/);
  assert.match(String(refusal([])), /needs a branch/);
});
