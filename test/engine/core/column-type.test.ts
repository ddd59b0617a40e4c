import assert from "node:assert/strict";
import { test } from "node:test";
import {
  canonicalType,
  fieldTypeOf,
  parameterType,
  type NamedTypes,
} from "../../../src/engine/core/column-type.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

const sqlOf = (schema: AvroSchema, named: NamedTypes = new Map()): string | null => {
  const found = fieldTypeOf(schema, named);
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

test("finds a named type again, by its short and its full name", () => {
  const named: NamedTypes = new Map();
  const status = { type: "enum", name: "Status", namespace: "shop", symbols: ["a", "b"] };
  assert.deepEqual(fieldTypeOf(status, named)?.type.symbols, ["a", "b"]);
  assert.deepEqual(fieldTypeOf("Status", named)?.type.symbols, ["a", "b"]);
  assert.deepEqual(fieldTypeOf(["null", "shop.Status"], named)?.type.symbols, ["a", "b"]);
  assert.equal(fieldTypeOf("Unknown", named), null);
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
