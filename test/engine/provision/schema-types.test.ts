import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { schemaTypesOf } from "../../../src/engine/provision/schema-types.ts";

const fieldOf = (name: string, type: unknown, rest: object = {}): object => ({
  name,
  type,
  ...rest,
});
const recordOf = (...fields: object[]): string =>
  JSON.stringify({ type: "record", name: "Order", namespace: "shop", fields });
/** The generated lines of one record with this one field, without its definition. */
const typesOf = (type: unknown): string => {
  const { text } = schemaTypesOf(recordOf(fieldOf("a", type)), "order.v1.avsc");
  return text.slice(0, text.indexOf("export const order:"));
};
const fieldType = (type: unknown): string | undefined =>
  /export interface Order \{\n {2}readonly a: (.*);\n/.exec(typesOf(type))?.[1];

test("a file becomes an import, its types and its schema, in exactly this form", () => {
  const avsc = `{
    "type": "record", "name": "Order", "namespace": "shop", "doc": "An order.",
    "fields": [
      { "name": "orderId", "type": "string", "doc": "Given by the shop;\\n never */ used again." },
      { "name": "status", "type": { "type": "enum", "name": "Status", "doc": "Where it is.", "symbols": ["a", "b"] } },
      { "name": "amount", "type": ["null", { "type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2 }] }
    ]
  }`;
  const { file, text } = schemaTypesOf(avsc, "order.v2.avsc");
  assert.equal(file, "order.v2.ts");
  const definition = JSON.stringify(JSON.parse(avsc), null, 2);
  assert.equal(
    text,
    `// Generated from ../order.v2.avsc by \`millrace schemas generate\`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** Where it is. */
export type Status = "a" | "b";
export const isStatus = (text: string): text is Status =>
  ["a", "b"].includes(text);

/** An order. */
export interface Order {
  /** Given by the shop; never * / used again. */
  readonly orderId: string;
  readonly status: Status;
  readonly amount: Decimal | null;
}
export const order: Schema<Order> = avro(${definition});
`,
  );
});

test("every type of Avro has its type in TypeScript", () => {
  const logical = (type: string, logicalType: string) => ({ type, logicalType });
  const expected: [unknown, string][] = [
    ["boolean", "boolean"],
    ["long", "number"],
    ["double", "number"],
    ["bytes", "Uint8Array"],
    [{ type: "fixed", name: "F", size: 2 }, "Uint8Array"],
    [{ type: "fixed", name: "F", size: 16, logicalType: "uuid" }, "string"],
    [{ type: "fixed", name: "F", size: 12, logicalType: "duration" }, "Uint8Array"],
    [logical("long", "timestamp-millis"), "number"],
    [logical("long", "timestamp-micros"), "bigint"],
    [logical("long", "bigint"), "bigint"],
    [logical("int", "date"), "string"],
    [logical("int", "time-millis"), "number"],
    [logical("long", "local-timestamp-micros"), "string"],
    [logical("string", "uuid"), "string"],
    [logical("string", "date"), "string"],
    [["null", "string"], "string | null"],
    [["int", "null"], "number | null"],
    [{ type: "array", items: "string" }, "readonly string[]"],
    [{ type: "array", items: ["null", "int"] }, "readonly (number | null)[]"],
    [{ type: "array", items: { type: "array", items: "int" } }, "readonly (readonly number[])[]"],
    [{ type: "map", values: "long" }, "Readonly<Record<string, number>>"],
    [["null", "int", "string"], "number | string | null"],
    [["null", "int", "long"], "{ readonly int: number } | { readonly long: number } | null"],
  ];
  for (const [type, text] of expected) assert.equal(fieldType(type), text);
});

test("records between which a union chooses are wrapped, and stand before what uses them", () => {
  const record = (name: string, type: string) => ({
    type: "record",
    name,
    fields: [fieldOf("n", type)],
  });
  const text = typesOf([record("Card", "string"), record("Cash", "int")]);
  assert.match(
    text,
    /readonly a: \{ readonly "shop\.Card": Card \} \| \{ readonly "shop\.Cash": Cash \};/,
  );
  assert.ok(text.indexOf("interface Card") < text.indexOf("interface Cash"));
  assert.ok(text.indexOf("interface Cash") < text.indexOf("interface Order"));
});

test("a record may contain itself, and a type used twice is written once", () => {
  const text = typesOf(["null", "Order"]);
  assert.equal(text.match(/interface Order/g)?.length, 1);
  assert.equal(fieldType(["null", "Order"]), "Order | null");
});

test("only what is used is imported, and long unions are broken into lines", () => {
  assert.match(typesOf("string"), /import \{ avro, type Schema \} from "#engine";/);
  const symbols = Array.from({ length: 9 }, (_, i) => `quite_a_long_symbol_${String(i)}`);
  const text = typesOf({ type: "enum", name: "Long", symbols });
  assert.match(text, /export type Long =\n {2}\| "quite_a_long_symbol_0"\n/);
  assert.ok(text.split("\n").every((line) => line.length <= 100));
});

test("what has no safe type is refused, with the file and the place", () => {
  const refusal = (avsc: string, file = "order.v1.avsc"): string => {
    try {
      schemaTypesOf(avsc, file, `schemas/${file}`);
    } catch (error) {
      if (error instanceof MillraceError && error.code === "MILL_SCHEMA_INVALID")
        return error.message.replace("an Avro file cannot be used: ", "");
      throw error;
    }
    return "accepted";
  };
  const named = (name: string) => JSON.stringify({ type: "record", name, fields: [] });
  assert.equal(
    refusal(recordOf(fieldOf("a", "Nowhere"))),
    'schemas/order.v1.avsc: a: there is no type "Nowhere"',
  );
  assert.match(refusal("{"), /^schemas\/order\.v1\.avsc: /);
  assert.match(refusal('"string"'), /outermost type must be a record/);
  assert.match(refusal(recordOf(), "order.avsc"), /<name>\.v<N>\.avsc/);
  assert.match(
    refusal(recordOf(fieldOf("a", "int", { default: "x" }))),
    /^schemas\/order\.v1\.avsc: .*default/,
  );
  assert.match(refusal(named("Decimal")), /the name Decimal is taken/);
  assert.match(refusal(named("Class")), /a constant named class/);
  assert.match(refusal(named("order")), /capital letter/);
  const twin = { type: "enum", name: "other.Order", symbols: ["A"] };
  assert.match(refusal(recordOf(fieldOf("a", twin))), /would be the same type/);
});
