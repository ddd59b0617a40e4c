import assert from "node:assert/strict";
import { test } from "node:test";
import { layoutOf } from "../../../src/engine/core/table-layout.ts";
import { chunks } from "../../../src/engine/sinks/chunks.ts";
import { Mistake } from "../../../src/engine/core/errors.ts";
import { rowMapper, rowPreparation } from "../../../src/engine/sinks/row-mapping.ts";
import { upsertStatement } from "../../../src/engine/sinks/postgres/upsert-statement.ts";
import { contractTable } from "../../contract/table-store.ts";

test("puts a row's fields in the order of the columns and leaves the rest out", () => {
  const row = { more: 1, updatedAt: 3, amount: 2, orderId: "o" };
  assert.deepEqual(rowMapper(contractTable)(row), ["o", 2, 3]);
  assert.deepEqual(rowMapper(contractTable)({ orderId: "o" }), ["o", null, null]);
});

test("does not take what is no object for a row", () => {
  for (const row of [null, "text", 1]) assert.throws(() => rowMapper(contractTable)(row), Mistake);
});

test("refuses a row without an exact text, and prepares the others", () => {
  const rows = [
    [1, "o", 0],
    ["p", 1, 0],
  ].map((values, index) => ({ values, index, offset: BigInt(index), timestamp: 0 }));
  const { prepared, refused } = rowPreparation(layoutOf(contractTable))(rows);
  assert.deepEqual(
    prepared.map((p) => p.key),
    ["p"],
  );
  assert.deepEqual(
    refused.map(({ row, refusal }) => [row.index, refusal.code]),
    [[0, "22023"]],
  );
});

test("changes a stored row only for a newer one", () => {
  const statement = upsertStatement(layoutOf(contractTable))
    .replace(/OPERATOR\(pg_catalog\.(.)\)/g, "$1")
    .replace(/\s+/g, " ");
  assert.match(
    statement,
    /unnest\(\$1::text\[\], \$2::bigint\[\], \$3::timestamp with time zone\[\]/,
  );
  assert.match(
    statement,
    /WHERE stored\."updated_at" < excluded\."updated_at" OR \(stored\."updated_at" = excluded\."updated_at" AND \(\(stored\."source_topic" = excluded\."source_topic"\) IS NOT TRUE OR stored\."source_offset" < excluded\."source_offset"\)\)/,
  );
});

test("cuts a list by count and by size, and never drops a large item", () => {
  const cut = (sizes: number[]) => chunks(sizes, (n) => n, { itemsMax: 3, sizeMax: 10 });
  assert.deepEqual(cut([1, 1, 1, 1]), [[1, 1, 1], [1]]);
  assert.deepEqual(cut([6, 4, 1, 99, 1]), [[6, 4], [1], [99], [1]]);
  assert.deepEqual(cut([]), []);
});
