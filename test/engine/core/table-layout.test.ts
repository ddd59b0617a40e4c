import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { layoutOf, type TableSpec } from "../../../src/engine/core/table-layout.ts";

const aTable = (more: Partial<TableSpec> = {}, fields: readonly object[] = []): TableSpec => ({
  name: "fact_orders",
  schema: "public",
  row: {
    format: {
      kind: "avro",
      name: "Order",
      schema: {
        type: "record",
        name: "Order",
        fields: [
          { name: "orderId", type: "string" },
          { name: "customerId", type: ["null", "string"], doc: "Who." },
          { name: "updatedAt", type: { type: "long", logicalType: "timestamp-millis" } },
          { name: "score", type: "double" },
          ...fields,
        ],
      },
    },
  },
  key: ["orderId"],
  version: "updatedAt",
  columns: {},
  indexes: [],
  personalData: [],
  description: null,
  ...more,
});

const problemsOf = (table: TableSpec): string[] => {
  try {
    layoutOf(table);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigErrors);
    return error.problems.map((p) => p.message);
  }
};

test("gives each field a column in snake_case, in the order of the schema", () => {
  const layout = layoutOf(aTable({ personalData: ["customerId"], indexes: [["customerId"]] }));
  assert.deepEqual(
    layout.columns.map((c) => `${c.name} ${c.type.sql}${c.nullable ? "" : " NOT NULL"}`),
    [
      "order_id text NOT NULL",
      "customer_id text",
      "updated_at timestamp with time zone NOT NULL",
      "score double precision NOT NULL",
    ],
  );
  assert.deepEqual([layout.target, layout.label], ['"public"."fact_orders"', "public.fact_orders"]);
  assert.deepEqual([layout.key, layout.version, layout.indexes], [[0], 2, [["customer_id"]]]);
  assert.equal(layout.columns[1]?.comment, "Who. Personal data.");
});

test("leaves a field out, renames it and types it as told", () => {
  const columns = { score: { omit: true }, customerId: { name: "buyer", type: "varchar(9)" } };
  const layout = layoutOf(aTable({ columns }));
  assert.deepEqual(
    layout.columns.map((c) => `${c.name} ${c.type.sql}`),
    ["order_id text", "buyer character varying(9)", "updated_at timestamp with time zone"],
  );
});

const kind = { type: "enum", name: "Kind", symbols: ["a", "b"] };
const card = { type: "record", name: "Card", fields: [{ name: "kind", type: kind }] };
const columnsOf = (...fields: readonly object[]): string[] =>
  layoutOf(aTable({}, fields))
    .columns.slice(4)
    .map(({ name, type, nullable }) => {
      const symbols = type.symbols === null ? "" : ` in ${type.symbols.join("|")}`;
      return `${name} ${type.sql}${symbols}${nullable ? "" : " NOT NULL"}`;
    });

test("refuses a logical type that stands beside its type, where Avro does not look", () => {
  const problem = (field: object) => problemsOf(aTable({}, [{ name: "f", ...field }])).join();
  const digits = { logicalType: "decimal", precision: 12, scale: 2 };
  for (const field of [
    { type: "bytes", ...digits },
    { type: ["null", "bytes"], ...digits },
    { type: "long", logicalType: "timestamp-millis" },
    { type: "string", logicalType: "uuid" },
    { type: { type: ["null", "long"], logicalType: "timestamp-millis" } },
    { type: { type: { type: "long" }, logicalType: "timestamp-millis" } },
    { type: "bytes", logicalType: "unheard-of" },
  ])
    assert.match(problem(field), /field "f": the logical type "[\w-]+" stands beside the type/);
  for (const field of [
    { type: "string", logicalType: "unheard-of" },
    { type: { type: "bytes", ...digits }, logicalType: "decimal" },
    { type: ["null", { type: "bytes", ...digits }] },
  ])
    assert.equal(problem(field), "", JSON.stringify(field));
  const columns = { f: { type: "bytea" } };
  assert.deepEqual(problemsOf(aTable({ columns }, [{ name: "f", type: "bytes", ...digits }])), []);
});

test("refuses an ignored logical type inside jsonb, with its place", () => {
  const problem = (type: unknown) => problemsOf(aTable({}, [{ name: "f", type }])).join();
  const bad = { type: "bytes", logicalType: "decimal" };
  const inside = (...fields: object[]) => ({ type: "record", name: "In", fields });
  assert.match(problem({ type: "array", items: bad }), /field "f": \[\]: the decimal has no prec/);
  assert.match(problem({ type: "map", values: ["null", bad] }), /field "f": \{\}: the decimal has/);
  assert.match(problem(["string", bad]), /field "f": the decimal has no precision/);
  const next = { name: "next", type: ["null", "In"] };
  assert.match(
    problem(inside(next, { name: "fee", type: bad })),
    /field "f": fee: the decimal has/,
  );
  const beside = { name: "at", type: "long", logicalType: "timestamp-millis" };
  assert.match(problem(inside(next, beside)), /field "f": at: the logical type .* beside/);
  assert.equal(problem(inside(next, { name: "n", type: "long" })), "");
});

test("a named type is found wherever it was defined", () => {
  const found = columnsOf(
    { name: "card", type: card },
    { name: "kind", type: "Kind" },
    { name: "kinds", type: { type: "array", items: "Kind" } },
    { name: "maybe", type: ["null", "Kind"] },
  );
  assert.deepEqual(found, [
    "card jsonb NOT NULL",
    "kind text in a|b NOT NULL",
    "kinds jsonb NOT NULL",
    "maybe text in a|b",
  ]);
});

test("a named type is found by the namespace that it has inherited", () => {
  const money = { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 };
  const box = {
    type: "record",
    name: "Box",
    namespace: "shop.parts",
    fields: [
      { name: "kind", type: kind },
      { name: "fee", type: money },
    ],
  };
  assert.deepEqual(
    columnsOf({ name: "box", type: ["null", box] }, { name: "kind", type: "shop.parts.Kind" }),
    ["box jsonb", "kind text in a|b NOT NULL"],
  );
});

test("a record that contains itself is one column", () => {
  const node = { type: "record", name: "Node", fields: [{ name: "next", type: ["null", "Node"] }] };
  assert.deepEqual(
    columnsOf({ name: "node", type: node }, { name: "other", type: ["null", "Node"] }),
    ["node jsonb NOT NULL", "other jsonb"],
  );
});

const bareDecimal = { name: "fee", type: { type: "bytes", logicalType: "decimal" } };
test("a type that the user names is taken for a field whose logical type is ignored", () => {
  const layout = layoutOf(aTable({ columns: { fee: { type: "bytea" } } }, [bareDecimal]));
  assert.deepEqual(
    [layout.columns[4]?.type.sql, layout.columns[4]?.type.encoding],
    ["bytea", "bytes"],
  );
  assert.equal(
    layoutOf(aTable({ columns: { fee: { omit: true } } }, [bareDecimal])).columns.length,
    4,
  );
});

const broken: readonly (readonly [string, TableSpec, RegExp])[] = [
  ["an unknown key", aTable({ key: ["nope"] }), /key "nope" is no field/],
  ["no key", aTable({ key: [] }), /at least one field/],
  ["a key that may be null", aTable({ key: ["customerId"] }), /must not be null/],
  ["a key of a type without exact equality", aTable({ key: ["score"] }), /double precision/],
  ["a version that may be null", aTable({ version: "customerId" }), /must not be null/],
  ["a version without order", aTable({ version: "score" }), /double precision/],
  [
    "a text version in a column of instants",
    aTable({ version: "orderId", columns: { orderId: { type: "timestamptz" } } }),
    /cannot be compared/,
  ],
  ["a version that is left out", aTable({ columns: { updatedAt: { omit: true } } }), /no field/],
  ["a column of ours", aTable({}, [{ name: "sourceOffset", type: "long" }]), /one of ours/],
  ["a system column", aTable({}, [{ name: "xmin", type: "long" }]), /one of ours/],
  ["two fields of one name", aTable({}, [{ name: "order_id", type: "int" }]), /two fields/],
  ["a hostile name", aTable({ name: 'a"; DROP TABLE b' }), /snake_case/],
  ["a hostile column", aTable({ columns: { score: { name: "a b" } } }), /snake_case/],
  ["a hostile type", aTable({ columns: { score: { type: "int; x" } } }), /is none/],
  ["an option for no field", aTable({ columns: { nope: {} } }), /"nope" is no field/],
  ["an index on no field", aTable({ indexes: [["nope"]] }), /"nope" is no field/],
  [
    "a decimal without a precision",
    aTable({}, [bareDecimal]),
    /field "fee": the decimal has no precision\. Mend the schema; or set columns\.fee to type: "bytea"/,
  ],
  ["a field that is only null", aTable({}, [{ name: "gone", type: "null" }]), /can only be null/],
  ["a type that is not there", aTable({}, [{ name: "x", type: "Nope" }]), /x: there is no type/],
  [
    "a row that is no Avro record",
    aTable({ row: { format: { kind: "string" } }, key: [], version: null }),
    /must be an Avro record/,
  ],
];
for (const [what, table, text] of broken)
  test(`refuses ${what}`, () => {
    assert.match(problemsOf(table).join("\n"), text);
  });

test("reports everything that is wrong at once", () => {
  assert.ok(problemsOf(aTable({ name: "No", key: ["x"], version: "y" })).length >= 3);
});
