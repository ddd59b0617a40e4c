import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAvro } from "../../../src/engine/core/avro-parser.ts";
import { canonicalType, fieldTypeOf, parameterType } from "../../../src/engine/core/column-type.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

const sqlOf = (schema: AvroSchema): string | null => {
  const found = fieldTypeOf(parseAvro(schema));
  return found === null ? null : `${found.type.sql}${found.nullable ? "" : " NOT NULL"}`;
};
const logical = (type: string, logicalType: string, more: object = {}): AvroSchema => ({
  type,
  logicalType,
  ...more,
});

test("gives each Avro type its Postgres type", () => {
  const types: readonly (readonly [AvroSchema, string])[] = [
    ["string", "text"],
    ["boolean", "boolean"],
    ["int", "integer"],
    ["long", "bigint"],
    ["float", "real"],
    ["double", "double precision"],
    ["bytes", "bytea"],
    [{ type: "fixed", name: "F", size: 4 }, "bytea"],
    [logical("string", "uuid"), "uuid"],
    [logical("fixed", "uuid", { name: "Uuid16", size: 16 }), "uuid"],
    [logical("int", "date"), "date"],
    [logical("long", "bigint"), "bigint"],
    [logical("int", "time-millis"), "time without time zone"],
    [logical("long", "timestamp-millis"), "timestamp with time zone"],
    [logical("long", "timestamp-micros"), "timestamp with time zone"],
    [logical("long", "timestamp-nanos"), "bigint"],
    [logical("long", "local-timestamp-millis"), "timestamp without time zone"],
    [logical("bytes", "decimal", { precision: 12, scale: 2 }), "numeric(12,2)"],
    [logical("bytes", "decimal", { precision: 5 }), "numeric(5,0)"],
    [{ type: "array", items: "int" }, "jsonb"],
    [{ type: "map", values: "int" }, "jsonb"],
    [{ type: "record", name: "R", fields: [] }, "jsonb"],
    [{ type: { type: "string" } } as AvroSchema, "text"],
    [logical("string", "no-such-type"), "text"],
  ];
  for (const [schema, sql] of types) {
    assert.equal(sqlOf(schema), `${sql} NOT NULL`, JSON.stringify(schema));
    assert.equal(sqlOf(["null", schema]), sql);
    assert.equal(sqlOf([schema, "null"]), sql);
  }
});

test("keeps unions of several types as jsonb", () => {
  assert.equal(sqlOf(["string", "int"]), "jsonb NOT NULL");
  assert.equal(sqlOf(["null", "string", "int"]), "jsonb");
});

const problemOf = (schema: AvroSchema): string | null | undefined =>
  fieldTypeOf(parseAvro(schema))?.problem;

test("a logical type that Avro ignores is refused by name, so no column becomes raw bytes unasked", () => {
  const refused: readonly (readonly [AvroSchema, RegExp])[] = [
    [logical("bytes", "decimal"), /no precision/],
    [logical("bytes", "decimal", { precision: 2, scale: 5 }), /scale is above/],
    [logical("bytes", "decimal", { precision: 0 }), /precision is no whole number/],
    [logical("bytes", "decimal", { precision: 4, scale: -1 }), /scale is no whole number/],
    [logical("fixed", "decimal", { name: "F", size: 2, precision: 9 }), /more digits than 2 bytes/],
    [logical("string", "decimal", { precision: 9 }), /stands on bytes or fixed, not on string/],
    [logical("bytes", "decimal", { precision: 1001 }), /1000 digits of Postgres/],
    [logical("int", "timestamp-millis"), /timestamp-millis stands on long, not on int/],
    [logical("long", "date"), /date stands on int/],
    [logical("fixed", "uuid", { name: "F", size: 12 }), /fixed of 16 bytes/],
    [logical("fixed", "duration", { name: "F", size: 12 }), /"duration" is not known/],
    [logical("bytes", "big-decimal"), /"big-decimal" is not known/],
  ];
  for (const [schema, text] of refused) {
    assert.match(problemOf(schema) ?? "none", text, JSON.stringify(schema));
    assert.match(problemOf(["null", schema]) ?? "none", text);
  }
  for (const fine of [logical("string", "url"), logical("long", "money"), "bytes"])
    assert.equal(problemOf(fine), null, JSON.stringify(fine));
});

test("a field that can only be null has no column type", () => {
  assert.equal(sqlOf("null"), null);
  assert.equal(sqlOf(["null"]), null);
});

test("spells a written type as the catalogue does", () => {
  const types: readonly (readonly [string, string | null])[] = [
    ["varchar(20)", "character varying(20)"],
    ["VARCHAR", "character varying"],
    ["char(3)", "character(3)"],
    ["char", "character(1)"],
    ["numeric(12, 2)", "numeric(12,2)"],
    ["decimal(5)", "numeric(5,0)"],
    ["timestamptz(3)", "timestamp(3) with time zone"],
    ["int8", "bigint"],
    ["citext", "citext"],
    ["double precision", "double precision"],
    ["int; DROP TABLE x", null],
    ['"quoted"', null],
    ["text[]", null],
  ];
  for (const [written, canonical] of types) assert.equal(canonicalType(written), canonical);
});

test("casts a parameter without length or scale, so that nothing is cut off or rounded", () => {
  const types = [
    "character varying(20)",
    "numeric(12,2)",
    "character(3)",
    "timestamp(3) with time zone",
  ];
  assert.deepEqual(types.map(parameterType), [
    "character varying",
    "numeric",
    "bpchar",
    "timestamp with time zone",
  ]);
});
