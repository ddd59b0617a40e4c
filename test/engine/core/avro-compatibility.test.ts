import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCompatible, incompatibilities } from "../../../src/engine/core/avro-compatibility.ts";
import { isSameOnTheWire } from "../../../src/engine/core/avro-matching.ts";
import { parseAvro } from "../../../src/engine/core/avro-parser.ts";
import { ConfigError } from "../../../src/engine/core/errors.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

const order = (...fields: object[]): AvroSchema => ({ type: "record", name: "Order", fields });
const problems = (reader: AvroSchema, writer: AvroSchema): readonly string[] =>
  incompatibilities(parseAvro(reader), parseAvro(writer));
const field = (name: string, type: unknown, rest: object = {}): object => ({ name, type, ...rest });
const money = (precision: number, scale: number): object => ({
  type: "bytes",
  logicalType: "decimal",
  precision,
  scale,
});
const long = (logicalType: string): object => ({ type: "long", logicalType });

test("a new field needs a default, and is named when it has none", () => {
  const old = order(field("a", "int"));
  assert.deepEqual(problems(order(field("a", "int"), field("b", "int")), old), [
    "b: is new and has no default",
  ]);
  assert.deepEqual(problems(order(field("b", "int", { default: 0 })), old), []);
  assert.deepEqual(problems(order(field("c", "int", { aliases: ["a"] })), old), []);
});

test("a changed type is named with its path, unless Avro promotes it", () => {
  const nested = (type: unknown) =>
    order(
      field("lines", {
        type: "array",
        items: { type: "record", name: "L", fields: [field("n", type)] },
      }),
    );
  assert.deepEqual(problems(nested("int"), nested("string")), [
    "lines[].n: string cannot be read as int",
  ]);
  assert.deepEqual(problems(nested("double"), nested("int")), []);
  assert.deepEqual(problems(nested("int"), nested("long")), [
    "lines[].n: long cannot be read as int",
  ]);
});

test("a union is read branch by branch", () => {
  assert.deepEqual(problems(order(field("a", "string")), order(field("a", ["null", "string"]))), [
    "a: null cannot be read as string",
  ]);
  assert.deepEqual(
    problems(order(field("a", ["null", "string"])), order(field("a", "string"))),
    [],
  );
  assert.deepEqual(problems(order(field("a", ["null", "string"])), order(field("a", "int"))), [
    "a: no branch of the union can read int",
  ]);
});

test("units and digits are part of the type", () => {
  const millis = order(field("at", long("timestamp-millis")));
  assert.deepEqual(problems(millis, order(field("at", long("timestamp-micros")))), [
    "at: timestamp-micros cannot be read as timestamp-millis",
  ]);
  assert.deepEqual(problems(millis, order(field("at", "long"))), []);
  assert.deepEqual(problems(order(field("x", money(12, 2))), order(field("x", money(12, 4)))), [
    "x: decimal(12, 4) cannot be read as decimal(12, 2)",
  ]);
  assert.deepEqual(problems(order(field("x", money(14, 4))), order(field("x", money(12, 2)))), []);
});

test("a removed enum symbol needs a default", () => {
  const status = (symbols: string[], rest: object = {}) =>
    order(field("s", { type: "enum", name: "Status", symbols, ...rest }));
  assert.deepEqual(problems(status(["A"]), status(["A", "B"])), [
    "s: symbols were removed and the enum has no default: B",
  ]);
  assert.deepEqual(problems(status(["A"], { default: "A" }), status(["A", "B"])), []);
});

test("a record that contains itself is compared without end", () => {
  const node = (value: unknown): AvroSchema => ({
    type: "record",
    name: "Node",
    fields: [field("value", value), field("next", ["null", "Node"])],
  });
  assert.deepEqual(problems(node("int"), node("int")), []);
  assert.deepEqual(problems(node("int"), node("string")), ["value: string cannot be read as int"]);
  assert.ok(isSameOnTheWire(parseAvro(node("int")), parseAvro(node("int"))));
});

test("same bytes mean the same only with equal order, units and digits", () => {
  const same = (a: AvroSchema, b: AvroSchema) => isSameOnTheWire(parseAvro(a), parseAvro(b));
  const documented = order(field("a", "int", { doc: "x", default: 1 }));
  assert.ok(same(documented, order(field("a", "int"))));
  assert.ok(
    !same(order(field("a", "int"), field("b", "int")), order(field("b", "int"), field("a", "int"))),
  );
  assert.ok(
    !same(order(field("a", long("timestamp-millis"))), order(field("a", long("timestamp-micros")))),
  );
  assert.ok(!same(order(field("a", money(12, 2))), order(field("a", money(12, 3)))));
  assert.ok(!same(order(field("a", ["null", "int"])), order(field("a", ["int", "null"]))));
});

test("a registered schema that is no Avro is an error with a code, not the parser's own", () => {
  const ours = JSON.stringify(order(field("a", "int")));
  const registered = [
    "",
    "{",
    'syntax = "proto3";',
    "null",
    "[".repeat(100_000),
    '{"type":"unknown"}',
  ];
  for (const text of registered)
    assert.throws(
      () => checkCompatible("s", ours, text),
      (error: unknown) => error instanceof ConfigError && error.code === "MILL_SCHEMA_INVALID",
      text.slice(0, 20),
    );
  assert.throws(
    () => checkCompatible("s", ours, JSON.stringify(order(field("a", "string")))),
    (error: unknown) => error instanceof ConfigError && error.code === "MILL_SCHEMA_INCOMPATIBLE",
  );
  checkCompatible("s", ours, ours);
});
