import assert from "node:assert/strict";
import { test } from "node:test";
import { selfContained } from "../../../src/engine/clients/registry-references.ts";
import { parseWriter } from "../../../src/engine/core/avro-parser.ts";
import { isSameOnTheWire } from "../../../src/engine/core/avro-matching.ts";
import { DependencyError } from "../../../src/engine/core/errors.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";

type Body = Readonly<Record<string, unknown>>;
const record = (name: string, ...types: unknown[]) => ({
  type: "record",
  name,
  fields: types.map((type, i) => ({ name: `f${String(i)}`, type })),
});
const refer = (...subjects: string[]) =>
  subjects.map((subject) => ({ name: subject, subject, version: 1 }));
const body = (schema: unknown, ...subjects: string[]): Body => ({
  schema: JSON.stringify(schema),
  references: refer(...subjects),
});

/** The schema of a body with the types of these subjects, and the subjects that were asked for. */
async function completed(main: Body, subjects: Readonly<Record<string, Body>>) {
  const asked: string[] = [];
  const text = await selfContained(String(main["schema"]), main, (subject) => {
    asked.push(subject);
    return Promise.resolve(subjects[subject] ?? null);
  });
  return { schema: JSON.parse(text) as AvroSchema, asked };
}

const currency = { type: "enum", name: "Currency", namespace: "shop", symbols: ["EUR"] };
const money = { ...record("shop.Money", "shop.Currency"), doc: "Money." };
const fee = { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 };
const main = record(
  "Order",
  ["null", "shop.Money"],
  "shop.Currency",
  fee,
  {
    type: "fixed",
    name: "Id",
    size: 16,
    logicalType: "uuid",
  },
  { type: "map", values: { type: "array", items: ["null", "Order"] } },
);

test("types of other subjects stand where they are first needed, each asked for once", async () => {
  const subjects = {
    money: body(money, "currency"),
    currency: body(currency),
  };
  const { schema, asked } = await completed(body(main, "money", "currency"), subjects);
  assert.deepEqual(asked, ["money", "currency"]);
  const whole = parseWriter(schema);
  const byHand = parseWriter(main, [currency, money]);
  assert.ok(isSameOnTheWire(whole, byHand) && isSameOnTheWire(byHand, whole));
  assert.equal(JSON.stringify(schema).match(/"symbols"/g)?.length, 1);
});

test("a schema without references is not touched", async () => {
  const plain = { ...record("Order", "int"), doc: "As it is." };
  assert.deepEqual((await completed(body(plain), {})).schema, plain);
});

test("a reference that is not there leaves the schema as it is: who reads it says what is missing", async () => {
  const { schema } = await completed(body(main, "money"), { money: body(money, "currency") });
  assert.deepEqual(schema, main);
  assert.throws(
    () => parseWriter(schema),
    /f0: there is no type "shop.Money" in it, nor in the ref/,
  );
});

test("references that lead round come to an end", async () => {
  const subjects = { a: body(record("A", "int"), "b"), b: body(record("B", "int"), "a") };
  const { asked } = await completed(body(record("Order", "A", "B"), "a"), subjects);
  assert.deepEqual(asked, ["a", "b"]);
});

test("while the registry is away a reference is waited for, like a schema", async () => {
  const away = new DependencyError("MILL_REGISTRY_UNAVAILABLE", "down");
  const one = body(main, "money");
  await assert.rejects(
    selfContained(String(one["schema"]), one, () => Promise.reject(away)),
    { code: "MILL_REGISTRY_UNAVAILABLE" },
  );
});
