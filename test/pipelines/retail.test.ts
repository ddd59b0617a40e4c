import assert from "node:assert/strict";
import { test } from "node:test";
import type { Expect } from "../../src/engine/transform/stateless/expect.ts";
import { retail } from "../../src/pipelines/retail.ts";
import { retailLines } from "../../src/tables/retail-lines.ts";

test("a line without quantity breaks the rule, and lines of one are kept", () => {
  const rule = retail
    .plan()
    .parts.flatMap(({ nodes }) => nodes)
    .find(({ name }) => name === "quantity-positive")?.operation as Expect | undefined;
  assert.equal(rule?.kind, "expect");
  assert.equal(rule.otherwise, "dead-letter");
  assert.equal(rule.test({ quantity: 0 }, {} as never), false);
  assert.equal(rule.test({ quantity: 1 }, {} as never), true);
});

test("a line's row is found by basket and product", () => {
  assert.deepEqual(retailLines.key, ["basketId", "productId"]);
});
