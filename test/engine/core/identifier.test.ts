import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isIdentifier, literal, quoted, snakeCase } from "../../../src/engine/core/identifier.ts";
import { ConfigError } from "../../../src/engine/core/errors.ts";

const hostile = [
  "",
  'a"b',
  "a b",
  "a;DROP TABLE x",
  "a\0",
  "A",
  "1a",
  "é",
  "a-b",
  "x".repeat(61),
  "a\n",
  "a--",
];

test("quotes a snake_case name", () => {
  assert.equal(quoted("fact_orders"), '"fact_orders"');
  assert.equal(quoted("select"), '"select"');
  assert.equal(quoted("x".repeat(60)), `"${"x".repeat(60)}"`);
});

test("refuses every name that could leave its quotes or be cut off", () => {
  for (const name of hostile)
    assert.throws(() => quoted(name), { code: "MILL_BUILD_NAME_INVALID" }, name);
  const property = fc.property(fc.string({ unit: "binary" }), (name) => {
    try {
      assert.match(quoted(name), /^"[a-z_][a-z0-9_]{0,59}"$/);
      assert.ok(isIdentifier(name));
    } catch (error) {
      assert.ok(error instanceof ConfigError);
    }
  });
  fc.assert(property, { numRuns: 1_000 });
});

test("writes a text as a literal that ends where it should", () => {
  assert.equal(literal("It's; --"), "'It''s; --'");
  assert.throws(() => literal("a\0b"), { code: "MILL_BUILD_OPTION" });
  const property = fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const [, prefix, inner = ""] = /^(E?)'([^]*)'$/.exec(literal(text)) ?? [];
    assert.ok(!inner.replaceAll("''", "").includes("'"));
    assert.equal(prefix, text.includes("\\") ? "E" : "");
    assert.equal(inner.replaceAll("''", "'").replaceAll("\\\\", "\\"), text);
  });
  fc.assert(property);
});

test("turns a field's name into snake_case", () => {
  const names = ["orderId", "order_id", "SKUCode", "isOK", "line2Text", "x"];
  assert.deepEqual(names.map(snakeCase), [
    "order_id",
    "order_id",
    "sku_code",
    "is_ok",
    "line2_text",
    "x",
  ]);
});
