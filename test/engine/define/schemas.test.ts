import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, pipeline, postgresTable, string, topic, type PostgresTable } from "#engine";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

const order = (...fields: object[]): AvroSchema => ({
  type: "record",
  name: "Order",
  namespace: "shop",
  fields: [{ name: "id", type: "string" }, ...fields],
});
interface Order {
  readonly id: string;
}
const sound = order();
const rows = (schema: AvroSchema): PostgresTable<Order> =>
  postgresTable("order_rows", { row: avro<Order>(schema), key: ["id"] });

/** The problems of building a pipeline from orders to rows. */
function problemsOf(value: AvroSchema, row: AvroSchema): readonly string[] {
  const orders = topic("orders", {
    key: string,
    value: avro<Order>(value),
    partitions: 1,
    owner: "t",
  });
  try {
    pipeline("flow", ({ from }) => {
      from(orders).upsertInto(rows(row));
      from(orders)
        .filter("all", () => true)
        .to(topic("copies", { key: string, value: avro<Order>(value), partitions: 1, owner: "t" }));
    }).plan();
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigErrors, String(error));
    return error.problems.map(({ code, message }) => `${code} ${message}`);
  }
}

test("schemas that can be used have no problem", () => {
  assert.deepEqual(problemsOf(sound, sound), []);
});

const mistakes: readonly (readonly [string, object, RegExp])[] = [
  ["an unknown type", { name: "a", type: "Nowhere" }, /a: there is no type "Nowhere"$/],
  [
    "a default",
    { name: "a", type: "int", default: "x" },
    /a: its default does not fit: expected a/,
  ],
  [
    "a default of a nested type",
    { name: "a", type: ["null", "int"], default: 1.5 },
    /no branch of the/,
  ],
  ["a name", { name: "a-b", type: "int" }, /a field needs a name of letters, digits and _$/],
];
for (const [what, field, reason] of mistakes)
  test(`${what} of a topic's schema is refused at build, with the operator and the place`, () => {
    const problems = problemsOf(order(field), sound);
    assert.equal(problems.length, 2, "once for each topic");
    for (const problem of problems) {
      assert.match(problem, /^MILL_SCHEMA_INVALID .*schemas\.test\.ts:\d+ .*shop\.Order: /);
      assert.match(problem, reason);
    }
  });

test("a row that cannot be a table is refused at build, with table, field, reason and the ways on", () => {
  const fee = { name: "fee", type: { type: "bytes", logicalType: "decimal" } };
  const [problem = "", ...others] = problemsOf(sound, order(fee));
  assert.deepEqual(others, []);
  assert.match(
    problem,
    /^MILL_BUILD_OPTION .*schemas\.test\.ts:\d+ {2}upsert "order_rows": table "order_rows": field "fee": the decimal has no precision\. Mend the schema; or set columns\.fee to type: "bytea" to store it as it is, or to omit: true$/,
  );
});
