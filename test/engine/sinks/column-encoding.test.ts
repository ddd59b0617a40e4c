import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Encoding } from "../../../src/engine/core/column-type.ts";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { arrayLiteral, encoderOf, RowFault } from "../../../src/engine/sinks/column-encoding.ts";

const encode = (encoding: Encoding, value: unknown, scale = 0): string | null =>
  encoderOf({
    field: "amountDue",
    name: "amount_due",
    type: { sql: "", encoding, scale, symbols: null },
    nullable: true,
    default: null,
    check: null,
    comment: null,
  })(value);

/** What Postgres' array_in makes of a one-dimensional literal. */
function parsed(text: string): (string | null)[] {
  const items: (string | null)[] = [];
  const item = /(?:"((?:[^"\\]|\\[\s\S])*)"|([^",{}\\\s]+))(,|$)/gy;
  const inner = text.slice(1, -1);
  while (item.lastIndex < inner.length) {
    const match = item.exec(inner) ?? assert.fail(`no array: ${text}`);
    const [, quotedText, plain = ""] = match;
    if (quotedText !== undefined) items.push(quotedText.replace(/\\([\s\S])/g, "$1"));
    else items.push(plain.toUpperCase() === "NULL" ? null : plain);
  }
  return items;
}

test("writes null and what is absent as NULL", () => {
  assert.equal(encode("text", null), null);
  assert.equal(encode("json", undefined), null);
});

test("writes equal values as equal texts", () => {
  assert.equal(encode("decimal", decimal("1.5"), 2), encode("decimal", decimal("1.50"), 2));
  assert.equal(encode("decimal", decimal("0").neg(), 2), "0.00");
  assert.equal(encode("uuid", "AB"), encode("uuid", "ab"));
});

test("never rounds: more places than the column has are a fault", () => {
  assert.equal(encode("decimal", decimal("12.340"), 2), "12.34");
  assert.throws(() => encode("decimal", decimal("12.345"), 2), { code: "22003" });
  assert.throws(() => encode("epoch-millis", 1.5), { code: "22008" });
});

test("names the column and the expected, never the value", () => {
  try {
    encode("number", "Secret");
    assert.fail("encoded a text as a number");
  } catch (error) {
    assert.ok(error instanceof RowFault);
    assert.equal(error.message, "22023, column amount_due: expected a number");
  }
});

test("refuses values of another kind", () => {
  const wrong: readonly (readonly [Encoding, unknown])[] = [
    ["text", 1],
    ["boolean", "true"],
    ["decimal", 1.5],
    ["epoch-millis", "now"],
    ["epoch-millis", Number.NaN],
    ["epoch-micros", 1.5],
    ["day-millis", -1],
    ["day-millis", 86_400_001],
    ["bytes", "text"],
    ["json", { a: Number.NaN }],
    ["text", "\udc00"],
  ];
  for (const [encoding, value] of wrong)
    assert.throws(() => encode(encoding, value), RowFault, `${encoding} ${String(value)}`);
});

test("writes instants of every age exactly", () => {
  const property = fc.property(
    fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }),
    (ms) => {
      const text = encode("epoch-millis", ms) ?? "";
      assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000Z$/);
      assert.equal(Date.parse(text), ms);
    },
  );
  fc.assert(property);
  assert.equal(encode("epoch-millis", -62_167_219_200_001), "0002-12-31T23:59:59.999000+00 BC");
  assert.equal(encode("epoch-millis", 8.64e15), "275760-09-13T00:00:00.000000+00");
  assert.equal(encode("epoch-micros", -1n), "1969-12-31T23:59:59.999999Z");
});

test("keeps any list of texts through an array literal", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("NULL", "null", "", '"', "\\", "{", "}", ",", " ", 'a"b\\c'),
  );
  const property = fc.property(fc.array(fc.option(text)), (values) => {
    assert.deepEqual(parsed(arrayLiteral(values)), values);
  });
  fc.assert(property, { numRuns: 500 });
});

test("data that is named like the methods of our own values is data", () => {
  for (const value of [
    { toFixed: 1 },
    { toFixed: null, cmp: 2 },
    { cmp: {} },
    [],
    Object.create(null),
  ])
    assert.throws(
      () => encode("decimal", value, 2),
      (error: unknown) => error instanceof RowFault && error.code === "22023",
    );
  const odd = { toJSON: 1, toString: 2, then: 3 };
  assert.equal(encode("json", odd), JSON.stringify(odd));
});
