import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { ConfigError, InvariantError } from "../../../src/engine/core/errors.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import {
  codecOf,
  codeOf,
  field,
  ID,
  messageFrom,
  outcomeOf,
  recordOf,
  reread,
  wire,
} from "./avro-support.ts";

const money = { type: "bytes", logicalType: "decimal", precision: 12, scale: 2 };
const order = recordOf(
  field("orderId", "string"),
  field("customerId", ["null", "string"], { default: null }),
  field("quantity", "int"),
  field("totalAmount", money),
  field("status", { type: "enum", name: "Status", symbols: ["pending", "shipped"] }),
  field("updatedAt", { type: "long", logicalType: "timestamp-millis" }),
  field("lines", { type: "array", items: recordOfLine() }),
  field("tags", { type: "map", values: "string" }),
);
function recordOfLine(): object {
  return {
    type: "record",
    name: "Line",
    fields: [field("sku", "string"), field("photo", "bytes")],
  };
}
const anOrder = {
  orderId: "o-1",
  customerId: null,
  quantity: -3,
  totalAmount: decimal("12.3"),
  status: "shipped",
  updatedAt: 1_767_600_000_123,
  lines: [{ sku: "ä€😀", photo: new Uint8Array([1, 2]) }],
  tags: { colour: "red" },
};

test("a record comes back as plain objects, after the five bytes of the wire format", () => {
  const codec = codecOf(order);
  const bytes = codec.encode(anOrder) as Buffer;
  assert.deepEqual([...bytes.subarray(0, 5)], [0, 0, 0, 0, ID]);
  const value = codec.decode(bytes) as typeof anOrder;
  assert.deepEqual(value, anOrder);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(Object.getPrototypeOf(value.lines[0]), Object.prototype);
});

test("bytes are copied, since those of a fetch are used again", () => {
  const codec = codecOf(order);
  const fetched = codec.encode(anOrder) as Buffer;
  const value = codec.decode(fetched) as typeof anOrder;
  fetched.fill(0xff);
  assert.deepEqual(value, anOrder);
});

test("a large record is written whole, and the next small one as well", () => {
  const codec = codecOf(order);
  const large = { ...anOrder, orderId: "x".repeat(100_000) };
  assert.deepEqual(codec.decode(codec.encode(large)), large);
  assert.deepEqual(codec.decode(codec.encode(anOrder)), anOrder);
});

test("the schema id is asked for once, and never when the bytes have none", () => {
  const texts = new Map<number, string>();
  const codec = compileCodec(avro(order).format, {
    schemas: { get: (id) => texts.get(id) },
    writerId: ID,
  });
  const bytes = codec.encode(anOrder);
  assert.equal(codec.unknownId(bytes), ID);
  assert.throws(() => codec.decode(bytes), InvariantError);
  texts.set(ID, JSON.stringify(order));
  assert.equal(codec.unknownId(bytes), null);
  codec.decode(bytes);
  texts.clear();
  assert.equal(codec.unknownId(bytes), null);
  for (const other of [null, Buffer.alloc(0), Buffer.from([0, 0, 0]), Buffer.from([1, 0, 0, 0, 9])])
    assert.equal(codec.unknownId(other), null);
});

test("each kind of broken bytes has its code", () => {
  const codec = codecOf(order);
  const good = codec.encode(anOrder) as Buffer;
  const cases: [string, Buffer | null][] = [
    ["MILL_DECODE_EMPTY", null],
    ["MILL_DECODE_EMPTY", Buffer.alloc(0)],
    ["MILL_DECODE_MAGIC", Buffer.from("plain text")],
    ["MILL_DECODE_AVRO", Buffer.from([0, 0, 0])],
    ["MILL_DECODE_UNKNOWN_SCHEMA", wire(12345, 1, 2)],
    ["MILL_DECODE_AVRO", good.subarray(0, good.length - 1)],
    ["MILL_DECODE_AVRO", Buffer.concat([good, Buffer.from([0])])],
  ];
  for (const [code, bytes] of cases)
    assert.equal(
      codeOf(() => codec.decode(bytes)),
      code,
    );
});

test("impossible bytes are refused where avsc would read on", () => {
  const read = (type: unknown, ...body: number[]) =>
    codeOf(() => codecOf(recordOf(field("a", type))).decode(wire(ID, ...body)));
  const AVRO = "MILL_DECODE_AVRO";
  assert.equal(read("boolean", 2), AVRO, "a boolean of 2");
  assert.equal(read("string", 4, 0xff, 0xfe), AVRO, "no UTF-8");
  assert.equal(read("string", 1), AVRO, "a negative length");
  assert.equal(read("int", 0x80, 0x80, 0x80, 0x80, 0x20), AVRO, "an int of 33 bits");
  assert.equal(read("long", ...Array<number>(10).fill(0x80), 1), AVRO, "a varint of 11 bytes");
  assert.equal(read("long", ...Array<number>(9).fill(0xff), 2), AVRO, "a varint of 65 bits");
  assert.equal(read(["null", "int"], 8), AVRO, "no such branch");
  assert.equal(read({ type: "enum", name: "E", symbols: ["A"] }, 2), AVRO, "no such symbol");
  assert.equal(read(money, 0), AVRO, "a decimal of no bytes");
  assert.equal(
    read({ type: "map", values: "int" }, 2, 18, ...Buffer.from("__proto__"), 2, 0),
    "MILL_DECODE_SCHEMA",
  );
});

test("a lying length ends at once, also in a field that is skipped", () => {
  const huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  const started = process.hrtime.bigint();
  for (const type of [
    { type: "array", items: "null" },
    { type: "array", items: "string" },
    { type: "map", values: "null" },
  ]) {
    const reader = recordOf(field("z", "int", { default: 0 }));
    const writer = recordOf(field("a", type));
    const codec = codecOf(writer, {});
    assert.equal(
      codeOf(() => codec.decode(wire(ID, ...huge))),
      "MILL_DECODE_AVRO",
    );
    assert.equal(
      codeOf(() => codecOf(reader, { 9: writer }).decode(wire(9, ...huge))),
      "MILL_DECODE_AVRO",
    );
    // A block of -1 items whose size leads backwards.
    assert.equal(
      codeOf(() => codecOf(reader, { 9: writer }).decode(wire(9, 1, 0x0f))),
      "MILL_DECODE_AVRO",
    );
  }
  assert.ok(process.hrtime.bigint() - started < 2_000_000_000n);
});

test("any bytes at all give a value or a DecodeError, whoever wrote the schema", () => {
  const older = recordOf(
    field("gone", { type: "array", items: "long" }),
    field("orderId", "bytes"),
    field("quantity", "int"),
  );
  const reader = recordOf(
    field("orderId", "string"),
    field("quantity", "long"),
    field("new", ["null", "int"], { default: null }),
  );
  const codecs = [codecOf(order), codecOf(reader, { [ID]: older })];
  const body = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(body, fc.constantFrom(...codecs), (bytes, codec) => {
      outcomeOf(codec, wire(ID, ...bytes));
      outcomeOf(codec, Buffer.from(bytes));
    }),
    { numRuns: 3000 },
  );
});

test("a damaged record gives a value or a DecodeError", () => {
  const codec = codecOf(order);
  const good = codec.encode(anOrder) as Buffer;
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
      const damaged = Buffer.from(good.subarray(0, Math.max(length, at + 1)));
      damaged[at] = byte;
      outcomeOf(codec, damaged);
    }),
    { numRuns: 2000 },
  );
});

test("an older writer's records are read by the topic's schema", () => {
  const old = recordOf(
    field("gone", { type: "map", values: "int" }),
    field("amount", "int"),
    field("id", "string"),
  );
  const now = recordOf(
    field("orderId", "string", { aliases: ["id"] }),
    field("amount", "double"),
    field("note", ["null", "string"], { default: null }),
    field("fee", money, { default: "\u0000\u0096" }),
  );
  assert.deepEqual(reread(now, old, { gone: { a: 1 }, amount: 5, id: "o-1" }), {
    orderId: "o-1",
    amount: 5,
    note: null,
    fee: decimal("1.50"),
  });
});

test("a record that moved to another namespace is still the same record", () => {
  const moved = (namespace: string, ...fields: object[]) => ({
    type: "record",
    name: "Order",
    namespace,
    fields,
  });
  const writer = moved("old", field("a", "int"), field("b", "int"));
  assert.deepEqual(reread(moved("shop", field("a", "int")), writer, { a: 1, b: 2 }), { a: 1 });
});

test("a schema that cannot be resolved dead-letters each record and names the field", () => {
  const writer = recordOf(field("a", "string"));
  const reader = recordOf(field("a", "int"), field("b", "int"));
  const codec = codecOf(reader, { 9: writer });
  const attempt = () => codec.decode(wire(9, 2, 65));
  assert.equal(codeOf(attempt), "MILL_DECODE_SCHEMA");
  assert.match(
    messageFrom(attempt),
    /schema 9 cannot be read as shop\.Order: a: string cannot be read as int; b: is new/,
  );
});

test("an unknown enum symbol takes the reader's default, or is that record's fault alone", () => {
  const status = (symbols: string[], rest: object = {}) =>
    recordOf(field("s", { type: "enum", name: "Status", symbols, ...rest }));
  const written = status(["old", "new"]);
  assert.deepEqual(reread(status(["new", "none"], { default: "none" }), written, { s: "old" }), {
    s: "none",
  });
  assert.deepEqual(reread(status(["new"]), written, { s: "new" }), { s: "new" });
  assert.equal(
    codeOf(() => reread(status(["new"]), written, { s: "old" })),
    "MILL_DECODE_SCHEMA",
  );
});

test("a schema that the registry gets later is found later", () => {
  let text: string = "unknown";
  const codec = compileCodec(avro(order).format, { schemas: { get: () => text }, writerId: ID });
  const bytes = codec.encode(anOrder);
  assert.equal(
    codeOf(() => codec.decode(bytes)),
    "MILL_DECODE_UNKNOWN_SCHEMA",
  );
  text = JSON.stringify(order);
  assert.deepEqual(codec.decode(bytes), anOrder);
});

test("a value that does not fit is refused by its path, without quoting it", () => {
  const codec = codecOf(order);
  const refusal = (change: object) => {
    const attempt = () => codec.encode({ ...anOrder, ...change });
    assert.equal(codeOf(attempt), "MILL_ENCODE_VALUE");
    return messageFrom(attempt).replace(/^[^:]*: /, "");
  };
  assert.equal(
    refusal({ totalAmount: decimal("1.234") }),
    "totalAmount: has more than 2 decimal places: round(2) it first",
  );
  assert.equal(
    refusal({ totalAmount: decimal("99999999999") }),
    "totalAmount: has more than 12 digits",
  );
  assert.equal(refusal({ totalAmount: 12.3 }), "totalAmount: expected a Decimal");
  assert.equal(refusal({ quantity: 2 ** 31 }), "quantity: expected int, received a number");
  assert.equal(
    refusal({ updatedAt: 2 ** 53 }),
    "updatedAt: expected timestamp-millis, received a number",
  );
  assert.equal(
    refusal({ customerId: undefined, orderId: null }),
    "orderId: expected string, received null",
  );
  assert.equal(
    refusal({ lines: [{ sku: "secret" }] }),
    "lines.0.photo: expected bytes, received undefined",
  );
  for (const status of ["SECRET", "constructor", "toString", "__proto__"])
    assert.equal(refusal({ status }), "status: expected enum, received a string");
  assert.equal(refusal({ orderId: "\ud800" }), "a text holds half a surrogate pair");
});

test("without a registered id nothing is written, and a broken schema is refused when compiled", () => {
  const codec = compileCodec(avro(order).format, {
    schemas: { get: () => "unknown" },
    writerId: null,
  });
  assert.equal(
    codeOf(() => codec.encode(anOrder)),
    "MILL_SCHEMA_UNREGISTERED",
  );
  assert.throws(() => codecOf(recordOf(field("a", "nowhere"))), ConfigError);
  assert.equal(
    codeOf(() => codecOf(recordOf(field("a", "int", { default: "x" })))),
    "MILL_SCHEMA_INVALID",
  );
});
