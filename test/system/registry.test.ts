import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, test } from "node:test";
import type { MillraceError } from "../../src/engine/core/errors.ts";
import type { SchemaRegistry } from "../../src/engine/core/ports.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { avro } from "../../src/engine/define/schema.ts";
import { schemaRegistry } from "../../src/engine/clients/registry.ts";
import { sharedStack } from "../support/stack.ts";

let registry: SchemaRegistry;
let url: string;
before(async () => {
  url = (await sharedStack()).SCHEMA_REGISTRY_URL;
  registry = schemaRegistry({ url });
});

const money = { type: "bytes", logicalType: "decimal", precision: 12, scale: 2 };
const orderOf = (...fields: object[]): string =>
  JSON.stringify({ type: "record", name: "Order", namespace: "shop", doc: "An order.", fields });
const subjectOf = (): string => `test-${randomUUID()}-value`;

test("a schema is registered once, found by subject and by id, and comes back with its logical types", async () => {
  const subject = subjectOf();
  const schema = orderOf({ name: "amount", type: money });
  assert.equal(await registry.idOf(subject, schema), null);
  assert.equal(await registry.latest(subject), null);
  const id = await registry.register(subject, schema);
  assert.equal(await registry.register(subject, schema), id);
  assert.equal(await registry.idOf(subject, schema), id);
  assert.deepEqual(JSON.parse((await registry.schemaById(id)) ?? "null"), JSON.parse(schema));
  const { schema: text, ...newest } = (await registry.latest(subject)) ?? { schema: "null" };
  assert.deepEqual(newest, { id, version: 1 });
  assert.deepEqual(JSON.parse(text), JSON.parse(schema));
});

test("a compatible version is the newest; an incompatible one is refused by us and by the registry", async () => {
  const subject = subjectOf();
  await registry.register(subject, orderOf({ name: "amount", type: money }));
  const second = orderOf(
    { name: "amount", type: money },
    { name: "note", type: ["null", "string"], default: null },
  );
  const id = await registry.register(subject, second);
  assert.equal((await registry.latest(subject))?.id, id);
  const broken = orderOf({ name: "customerId", type: "string" });
  await assert.rejects(registry.register(subject, broken), (error: MillraceError) => {
    assert.match(error.message, /customerId: is new and has no default/);
    return error.code === "MILL_SCHEMA_INCOMPATIBLE";
  });
  const response = await fetch(`${url}/subjects/${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: broken }),
  });
  assert.equal(response.status, 409);
});

test("an id that nobody has is missing, and a wrong path is not taken for that", async () => {
  assert.equal(await registry.schemaById(2_000_000_000), null);
  const { origin } = new URL(url);
  await assert.rejects(schemaRegistry({ url: origin }).schemaById(1), {
    code: "MILL_REGISTRY_UNAVAILABLE",
  });
});

/** Registers as a producer of another language does, with references to other subjects. */
async function withReferences(
  subject: string,
  schema: object,
  references: readonly { name: string; subject: string; version: number }[],
): Promise<number> {
  const response = await fetch(`${url}/subjects/${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: JSON.stringify(schema), schemaType: "AVRO", references }),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return ((await response.json()) as { id: number }).id;
}

test("references are followed: a record of a type that another subject defines is read", async () => {
  const currency = { type: "enum", name: "Currency", namespace: "ref", symbols: ["EUR", "SEK"] };
  const price = {
    type: "record",
    name: "Price",
    namespace: "ref",
    fields: [
      { name: "amount", type: money },
      { name: "currency", type: "Currency" },
    ],
  };
  const order = {
    type: "record",
    name: "Order",
    namespace: "shop",
    fields: [
      { name: "price", type: "ref.Price" },
      { name: "was", type: ["null", "ref.Price"] },
    ],
  };
  const [first, second, third] = [subjectOf(), subjectOf(), subjectOf()];
  await withReferences(first, currency, []);
  await withReferences(second, price, [{ name: "ref.Currency", subject: first, version: 1 }]);
  const id = await withReferences(third, order, [
    { name: "ref.Price", subject: second, version: 1 },
  ]);

  const text = (await registry.schemaById(id)) ?? "";
  assert.equal((await registry.latest(third))?.schema, text);
  const reader = {
    ...order,
    fields: [{ name: "price", type: { ...price, fields: [{ name: "currency", type: currency }] } }],
  };
  const codec = compileCodec(avro(reader).format, { schemas: { get: () => text }, writerId: null });
  const head = Buffer.alloc(5);
  head.writeInt32BE(id, 1);
  const body = Buffer.from("0404d20200", "hex");
  assert.deepEqual(codec.decode(Buffer.concat([head, body])), { price: { currency: "SEK" } });
});
