// Rows of what a JSON topic without a validator brings: each has exact texts for its columns, or a SQLSTATE that says which does not.
import { avro, postgresTable } from "#engine";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { layoutOf } from "../../../src/engine/core/table-layout.ts";
import { byAge, collapse } from "../../../src/engine/sinks/collapse.ts";
import { arrayLiteral } from "../../../src/engine/sinks/column-encoding.ts";
import { rowPreparation } from "../../../src/engine/sinks/row-mapping.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, type AnyKind, type Read } from "../kind.ts";
import { oddJson } from "../mutate/json.ts";

const logical = (type: string, logicalType: string, more: object = {}): object => ({
  ...{ type, logicalType },
  ...more,
});
const types: Readonly<Record<string, unknown>> = {
  ...{ text: "string", flag: "boolean", small: "int", big: "long", real: "double", raw: "bytes" },
  money: logical("bytes", "decimal", { precision: 12, scale: 2 }),
  ...{ id: logical("string", "uuid"), day: logical("int", "date") },
  ...{ millis: logical("long", "timestamp-millis"), micros: logical("long", "timestamp-micros") },
  ...{ clock: logical("int", "time-millis"), whole: logical("long", "bigint") },
  list: { type: "array", items: "string" },
};
const schema = {
  ...{ type: "record", name: "Row" },
  fields: Object.entries(types).map(([name, type]) => ({ name, type })),
};
const row: Readonly<Record<string, unknown>> = {
  ...{ text: "é", flag: true, small: 1, big: 2, real: 0.5, raw: new Uint8Array([1]) },
  ...{ money: decimal("12.50"), id: "00000000-0000-4000-8000-000000000000", day: "2026-01-01" },
  ...{
    millis: 1_767_225_600_000,
    micros: 1_767_225_600_000_000n,
    clock: 5,
    whole: 7n,
    list: ["a"],
  },
};
const names = Object.keys(types);

/** Tables whose version is each of the columns in turn. */
const versions = ["text", "small", "big", "money", "day", "millis", "micros", "whole"];
const layouts = versions.map((version) => {
  const options = { row: avro<object>(schema), key: ["text"], version };
  return layoutOf(postgresTable<object>("rows", options as never));
});

interface Input {
  readonly layout: (typeof layouts)[0];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Methods that our own values have, as data. */
const LIKE_OURS = ["toFixed", "cmp", "toJSON", "toString", "valueOf", "then", "length"] as const;

const oddValue = (draw: Draw): unknown => {
  if (draw.chance(0.3)) return Object.fromEntries([[draw.of(LIKE_OURS), oddJson(draw)]]);
  return draw.chance(0.2) ? row[draw.of(names)] : oddJson(draw);
};

function read({ layout, rows }: Input): Read {
  const values = rows.map((one, index) => ({
    values: layout.columns.map(({ field }) => one[field] ?? null),
    ...{ index, offset: BigInt(index), timestamp: 5 },
  }));
  const { prepared, refused } = rowPreparation(layout)(values);
  for (const { refusal } of refused) must(/^[0-9A-Z]{5}$/.test(refusal.code), "no SQLSTATE");
  const groups = collapse(prepared, byAge(layout));
  for (const { newest } of groups) arrayLiteral(newest.texts);
  const count = groups.reduce((sum, group) => sum + group.rows.length, 0);
  must(count === prepared.length, "a row is lost");
  return prepared.length > 0 ? "taken" : "refused";
}

export const columnKind: AnyKind = kindOf({
  ...{ name: "columns", codes: /^MILL_NONE$/, weight: 1 },
  make: (draw: Draw): Input => ({
    layout: draw.of(layouts),
    rows: draw.list(1, 3, () =>
      draw.chance(0.2)
        ? row
        : { ...row, [draw.of(names)]: oddValue(draw), [draw.of(names)]: oddValue(draw) },
    ),
  }),
  read,
});
