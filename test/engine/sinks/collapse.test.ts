import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SinkRow } from "../../../src/engine/core/ports.ts";
import { layoutOf } from "../../../src/engine/core/table-layout.ts";
import { byAge, collapse } from "../../../src/engine/sinks/collapse.ts";
import { rowPreparation, type PreparedRow } from "../../../src/engine/sinks/row-mapping.ts";

const layoutWith = (versionType: unknown, version: string | null = "version") =>
  layoutOf({
    name: "t",
    schema: "public",
    row: {
      format: {
        kind: "avro",
        name: "T",
        schema: {
          type: "record",
          name: "T",
          fields: [
            { name: "a", type: "string" },
            { name: "b", type: "int" },
            { name: "version", type: versionType },
          ],
        },
      },
    },
    key: ["a", "b"],
    version,
    columns: {},
    indexes: [],
    personalData: [],
    description: null,
  });

const layout = layoutWith("long");
const aRow = (a: string, b: number, version: unknown, offset: number): SinkRow => ({
  values: [a, b, version],
  index: offset,
  offset: BigInt(offset),
  timestamp: 0,
});
const prepared = (rows: readonly SinkRow[], of = layout): readonly PreparedRow[] =>
  rowPreparation(of)(rows).prepared;
const newestOf = (rows: readonly SinkRow[], of = layout): number[] =>
  collapse(prepared(rows, of), byAge(of)).map(({ newest }) => newest.row.index);

test("keeps what record by record would have left", () => {
  const row = fc.tuple(
    fc.constantFrom("x", "y", "x,1", '"'),
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 0, max: 3 }),
  );
  const property = fc.property(fc.array(row, { maxLength: 30 }), (given) => {
    const rows = given.map(([a, b, version], i) => aRow(a, b, version, i));
    const oneByOne = new Map<string, SinkRow>();
    for (const next of rows) {
      const key = JSON.stringify(next.values.slice(0, 2));
      const stored = oneByOne.get(key);
      if (stored === undefined || (stored.values[2] as number) <= (next.values[2] as number))
        oneByOne.set(key, next);
    }
    const expected = [...oneByOne.values()].map(({ index }) => index).sort((a, b) => a - b);
    assert.deepEqual(
      newestOf(rows).sort((a, b) => a - b),
      expected,
    );
  });
  fc.assert(property);
});

test("orders keys the same way whatever order the rows came in", () => {
  const rows = ["b", "a", "c", "a"].map((a, i) => aRow(a, i % 2, 0, i));
  const keys = (list: readonly SinkRow[]) =>
    collapse(prepared(list), byAge(layout)).map(({ key }) => key);
  assert.deepEqual(keys(rows), keys(rows.toReversed()));
  assert.deepEqual(keys(rows), keys(rows).toSorted());
});

test("tells compound keys apart that only look alike when joined", () => {
  const rows = [aRow("a", 1, 0, 0), aRow("a1", 1, 0, 1), aRow("a", 11, 0, 2)];
  assert.equal(newestOf(rows).length, 3);
});

test("compares versions of bigints, decimals and texts by their own order", () => {
  const big = layoutWith({ type: "long", logicalType: "bigint" });
  assert.deepEqual(newestOf([aRow("a", 1, 10n, 0), aRow("a", 1, 9n, 1)], big), [0]);
  const text = layoutWith("string");
  assert.deepEqual(newestOf([aRow("a", 1, "b", 0), aRow("a", 1, "B", 1)], text), [0]);
  // By UTF-8 bytes, where UTF-16 units would say the opposite.
  assert.deepEqual(newestOf([aRow("a", 1, "\u{1F600}", 0), aRow("a", 1, "\uFFFD", 1)], text), [0]);
});

test("goes by the record's time where the table has no version", () => {
  const none = layoutWith("long", null);
  const first = { ...aRow("a", 1, 0, 0), timestamp: 20 };
  assert.deepEqual(newestOf([first, { ...aRow("a", 1, 9, 1), timestamp: 10 }], none), [0]);
  assert.deepEqual(newestOf([first, { ...aRow("a", 1, 0, 1), timestamp: 20 }], none), [1]);
});

test("takes a missing version as the oldest, so that its row comes to be refused", () => {
  assert.deepEqual(newestOf([aRow("a", 1, 1, 0), aRow("a", 1, null, 1)]), [0]);
});
