// Producers whose schemas would not be allowed here, and schemas that cannot be read, through the whole engine: what is
// read arrives, only the records that do not fit are letters, and each letter says why and where.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, string, topic, type Pipeline } from "#engine";
import { headerText } from "../../src/engine/core/record.ts";
import type { AvroSchema } from "../../src/engine/core/schema.ts";
import { Fleet } from "../support/fleet.ts";

const copies = topic("copies", { key: string, value: json<unknown>(), partitions: 1, owner: "t" });

function flowOf(reader: AvroSchema): Pipeline {
  const value = avro<object>(reader);
  const orders = topic("orders", { key: string, value, partitions: 1, owner: "t" });
  return pipeline("flow", ({ from }) => {
    from(orders)
      .map("plain", (order) => order as unknown)
      .to(copies);
  });
}

/** The values that arrive of records that `writer` wrote, and the reasons of the letters. */
async function passed(writer: unknown, reader: AvroSchema, ...bodies: readonly string[]) {
  const flow = flowOf(reader);
  const fleet = new Fleet([flow]);
  const head = Buffer.alloc(5);
  head.writeInt32BE(fleet.registry.force("orders-value", JSON.stringify(writer)), 1);
  await fleet.join();
  await fleet.drained();
  await fleet.send(
    "orders",
    bodies.map((body) => Buffer.concat([head, Buffer.from(body, "hex")])),
  );
  await fleet.drained();
  const letters = fleet.kafka.records(flow.plan().deadLetters, { committed: true });
  const reasons = letters.map(({ headers }) => headerText(headers, "dlq.message") ?? "");
  const { emitted = 0, ...others } = await fleet.ledger("main");
  assert.equal(emitted, bodies.length - letters.length, JSON.stringify(others));
  return { values: fleet.values(copies), reasons };
}

const order = (...fields: object[]) => ({ type: "record", name: "Order", fields });
const id = { name: "id", type: "string" };
const a = (type: unknown): AvroSchema => order({ name: "a", type });

test("A1: a default that does not fit its type is of no interest to a reader", async () => {
  const msg = { name: "msg", type: ["null", "string"], default: "" };
  assert.deepEqual(await passed(order(id, msg), order(id), "04783200"), {
    values: [{ id: "x2" }],
    reasons: [],
  });
});

test("A2: a field may have any name at its writer, and an alias makes it one of ours", async () => {
  const odd = ["größe", "unit-price", "2nd", "__proto__", "constructor", "a b"];
  for (const name of odd) {
    const writer = order(id, { name, type: "int" });
    const read = await passed(writer, order(id), "0478320e");
    assert.deepEqual(read, { values: [{ id: "x2" }], reasons: [] }, name);
    const renamed = order({ name: "size", type: "int", aliases: [name] });
    assert.deepEqual((await passed(writer, renamed, "0478320e")).values, [{ size: 7 }], name);
  }
});

test("A3: a record of a union is found by its full name", async () => {
  const card = (namespace: string, ...more: object[]) => ({
    ...{ type: "record", name: "Card", namespace },
    fields: [{ name: "no", type: "string" }, ...more],
  });
  const kind = { name: "kind", type: "string", default: "?" };
  const both = a([card("a"), card("b")]);
  assert.deepEqual(
    (await passed(both, a([card("a", kind), card("b")]), "00026e", "02026e")).values,
    [{ a: { "a.Card": { no: "n", kind: "?" } } }, { a: { "b.Card": { no: "n" } } }],
  );
  assert.deepEqual((await passed(both, a([card("b"), card("a")]), "00026e", "02026e")).values, [
    { a: { "a.Card": { no: "n" } } },
    { a: { "b.Card": { no: "n" } } },
  ]);
});

test("A4: of a writer's union only the records that do not fit are letters", async () => {
  const { values, reasons } = await passed(
    a(["null", "string"]),
    a("string"),
    "020278",
    "00",
    "020279",
  );
  assert.deepEqual(values, [{ a: "x" }, { a: "y" }]);
  assert.deepEqual(reasons, [
    "the record breaks the topic's contract: writer's schema 1 cannot be read as Order: a: null cannot be read as string",
  ]);
});

test("a list is read while it is empty, whatever its items would be", async () => {
  const list = (items: string) => a({ type: "array", items });
  const { values, reasons } = await passed(list("string"), list("int"), "00", "02027800");
  assert.deepEqual(values, [{ a: [] }]);
  assert.match(reasons.join(), /a\[\]: string cannot be read as int$/);
});

const money = (more: object) => ({ type: "bytes", logicalType: "decimal", ...more });
const refused: readonly (readonly [string, unknown, AvroSchema, string, RegExp])[] = [
  [
    "A8: a reference that is not there",
    a("shop.Money"),
    a("int"),
    "02",
    /writer's schema 1 cannot be read: a: there is no type "shop.Money" in it, nor in the references/,
  ],
  ["an unknown type", a("number"), a("int"), "02", /a: there is no type "number"/],
  [
    "a text that is no schema",
    7,
    a("int"),
    "02",
    /writer's schema 1 cannot be read: a schema is a/,
  ],
  [
    "a JSON Schema",
    { $schema: "http://json-schema.org/draft-07/schema#", type: "object" },
    a("int"),
    "02",
    /writer's schema 1: it is a JSON Schema, not Avro/,
  ],
  [
    "types that cannot be read as ours, each with its path",
    order({ name: "a", type: "string" }, { name: "b", type: "int" }),
    order({ name: "a", type: "int" }, { name: "b", type: "int" }, { name: "c", type: "int" }),
    "027802",
    /cannot be read as Order: a: string cannot be read as int; c: is new and has no default$/,
  ],
  [
    "another kind of type under the same name",
    a({ type: "enum", name: "X", symbols: ["A"] }),
    a({ type: "record", name: "X", fields: [] }),
    "00",
    /a: the enum X cannot be read as the record X$/,
  ],
  [
    "a fixed of another size",
    a({ type: "fixed", name: "X", size: 1 }),
    a({ type: "fixed", name: "X", size: 2 }),
    "00",
    /a: the fixed X of 1 bytes cannot be read as the fixed X of 2 bytes$/,
  ],
  [
    "another unit of time",
    a({ type: "long", logicalType: "timestamp-micros" }),
    a({ type: "long", logicalType: "timestamp-millis" }),
    "02",
    /a: timestamp-micros cannot be read as timestamp-millis$/,
  ],
  [
    "a symbol that the topic's enum lacks",
    a({ type: "enum", name: "E", symbols: ["A", "B"] }),
    a({ type: "enum", name: "E", symbols: ["B"] }),
    "00",
    /the topic's enum does not have this symbol$/,
  ],
  [
    "a branch that is none",
    a(["null", "int"]),
    a(["null", "int"]),
    "08",
    /no branch of this number$/,
  ],
  [
    "more digits",
    a(money({ precision: 9 })),
    a(money({ precision: 2 })),
    "0403e8",
    /more than 2 digits$/,
  ],
];
for (const [what, writer, reader, body, reason] of refused)
  test(`${what} is a letter that says why`, async () => {
    const { values, reasons } = await passed(writer, reader, body);
    assert.deepEqual(values, []);
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? "", reason);
  });

test("a logical type that does not fit its type is ignored at its writer", async () => {
  const odd = [
    { type: "string", logicalType: "date" },
    { type: "string", logicalType: "timestamp-millis" },
    { type: "string", logicalType: "unheard-of" },
  ];
  for (const type of odd)
    assert.deepEqual((await passed(a(type), a("string"), "0278")).values, [{ a: "x" }]);
  assert.deepEqual((await passed(a(money({})), a("string"), "0278")).values, [{ a: "x" }]);
});
