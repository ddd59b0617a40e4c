import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal, fromUnscaled } from "../../../src/engine/core/decimal.ts";
import { codecOf, codeOf, field, ID, recordOf, reread, wire } from "./avro-support.ts";

const logical = (type: string, logicalType: string, rest: object = {}): object => ({
  type,
  logicalType,
  ...rest,
});
const throughAvro = (type: unknown, value: unknown): unknown => {
  const codec = codecOf(recordOf(field("a", type)));
  return (codec.decode(codec.encode({ a: value })) as { a: unknown }).a;
};
const writes = (type: unknown, value: unknown): string => codeOf(() => throughAvro(type, value));
const OK = "nothing was thrown";
const REFUSED = "MILL_ENCODE_VALUE";

/** Avro types, each with values that must come back as they were. */
const typed: [string, unknown, fc.Arbitrary<unknown>][] = [
  ["null", "null", fc.constant(null)],
  ["boolean", "boolean", fc.boolean()],
  ["int", "int", fc.integer()],
  ["long", "long", fc.maxSafeInteger()],
  ["double", "double", fc.double()],
  ["string", "string", fc.string({ unit: "binary" })],
  ["bytes", "bytes", fc.uint8Array()],
  ["fixed", { type: "fixed", name: "F", size: 3 }, fc.uint8Array({ minLength: 3, maxLength: 3 })],
  ["bigint", logical("long", "bigint"), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  [
    "micros",
    logical("long", "timestamp-micros"),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  ],
  ["millis", logical("long", "timestamp-millis"), fc.maxSafeInteger()],
  ["date", logical("int", "date"), aDay().map((d) => d.toISOString().slice(0, 10))],
  [
    "local millis",
    logical("long", "local-timestamp-millis"),
    aDay().map((d) => d.toISOString().slice(0, 23)),
  ],
  [
    "local micros",
    logical("long", "local-timestamp-micros"),
    aDay().map((d) => `${d.toISOString().slice(0, 23)}045`),
  ],
  [
    "local nanos",
    logical("long", "local-timestamp-nanos"),
    aDay("1700").map((d) => `${d.toISOString().slice(0, 23)}000678`),
  ],
  ["decimal", logical("bytes", "decimal", { precision: 40, scale: 4 }), aDecimal(40, 4)],
  [
    "fixed decimal",
    {
      type: "fixed",
      name: "D",
      size: 8,
      ...logical("fixed", "decimal", { precision: 18, scale: 2 }),
    },
    aDecimal(18, 2),
  ],
  ["fixed uuid", { type: "fixed", name: "U", ...logical("fixed", "uuid"), size: 16 }, fc.uuid()],
  ["array", { type: "array", items: "string" }, fc.array(fc.string())],
  [
    "map",
    { type: "map", values: "long" },
    fc.dictionary(
      fc.string().filter((k) => k !== "__proto__"),
      fc.maxSafeInteger(),
      { noNullPrototype: true },
    ),
  ],
];
function aDay(from = "0000"): fc.Arbitrary<Date> {
  return fc.date({
    min: new Date(`${from}-01-01T00:00:00Z`),
    max: new Date(from === "0000" ? "9999-12-31T23:59:59.999Z" : "2200-01-01"),
    noInvalidDate: true,
  });
}
function aDecimal(precision: number, scale: number): fc.Arbitrary<unknown> {
  const limit = 10n ** BigInt(precision) - 1n;
  return fc.bigInt({ min: -limit, max: limit }).map((n) => fromUnscaled(n, scale));
}

for (const [name, type, values] of typed) {
  test(`${name} comes back as it was, alone and beside null`, () => {
    fc.assert(
      fc.property(values, (value) => {
        assert.deepEqual(throughAvro(type, value), value);
        if (type !== "null") {
          assert.deepEqual(throughAvro(["null", type], value), value);
          assert.equal(throughAvro([type, "null"], null), null);
        }
      }),
      { numRuns: 200 },
    );
  });
}

test("the largest safe integers pass, and what lies beyond is a dead letter, never rounded", () => {
  for (const n of [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER])
    assert.equal(throughAvro("long", n), n);
  const asBigint = recordOf(field("a", logical("long", "bigint")));
  for (const n of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n])
    assert.equal(
      codeOf(() => reread(recordOf(field("a", "long")), asBigint, { a: n })),
      "MILL_DECODE_SCHEMA",
    );
});

test("values of a neighbouring type are refused", () => {
  assert.equal(writes("long", 1n), REFUSED);
  assert.equal(writes("long", 0.5), REFUSED);
  assert.equal(writes(logical("long", "bigint"), 1), REFUSED);
  assert.equal(writes(logical("long", "bigint"), 2n ** 63n), REFUSED);
  assert.equal(writes(logical("int", "date"), "2026-02-30"), REFUSED);
  assert.equal(writes(logical("int", "date"), "2026-2-3"), REFUSED);
  assert.equal(writes(logical("long", "local-timestamp-millis"), "2026-01-05T11:53:26"), REFUSED);
  assert.equal(
    writes(logical("long", "local-timestamp-millis"), "2026-01-05T25:53:26.000"),
    REFUSED,
  );
  assert.equal(writes({ type: "fixed", name: "F", size: 2 }, new Uint8Array(3)), REFUSED);
  assert.equal(writes("bytes", Buffer.from("ok")), OK);
});

test("unions between scalars are plain, and wrapped where plain values could not be told apart", () => {
  const plain = [
    "null",
    "string",
    "bytes",
    logical("long", "timestamp-micros"),
    { type: "array", items: "int" },
  ];
  for (const value of [null, "x", new Uint8Array([1]), 5n, [1]])
    assert.deepEqual(throughAvro(plain, value), value);
  assert.equal(writes(plain, 5), REFUSED);
  const numbers = ["null", "int", "double"];
  for (const value of [null, { int: 1 }, { double: 1 }])
    assert.deepEqual(throughAvro(numbers, value), value);
  assert.equal(writes(numbers, 1), REFUSED);
});

test("a union between records is wrapped by the full name, in plain objects", () => {
  const record = (name: string, type: string) => ({
    type: "record",
    name,
    fields: [field("n", type)],
  });
  const payment = [record("Card", "string"), record("Cash", "int")];
  const value = { "shop.Card": { n: "x" } };
  const back = throughAvro(payment, value) as typeof value;
  assert.deepEqual(back, value);
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  for (const name of ["constructor", "shop.None"])
    assert.equal(writes(payment, { [name]: { n: 1 } }), REFUSED);
});

test("units never mix: microseconds are not read as milliseconds", () => {
  const at = (name: string) => recordOf(field("a", logical("long", name)));
  assert.equal(
    codeOf(() => reread(at("timestamp-millis"), at("timestamp-micros"), { a: 5n })),
    "MILL_DECODE_SCHEMA",
  );
  assert.deepEqual(reread(at("timestamp-millis"), recordOf(field("a", "long")), { a: 5 }), {
    a: 5,
  });
  assert.deepEqual(reread(at("bigint"), at("timestamp-millis"), { a: 5 }), { a: 5n });
  assert.deepEqual(reread(recordOf(field("a", "long")), at("bigint"), { a: 5n }), { a: 5 });
});

test("a decimal of another scale keeps its value, or breaks the contract when it does not fit", () => {
  const money = (precision: number, scale: number) =>
    recordOf(field("a", logical("bytes", "decimal", { precision, scale })));
  assert.deepEqual(reread(money(12, 4), money(12, 2), { a: decimal("12.3") }), {
    a: decimal("12.3"),
  });
  assert.deepEqual(reread(money(12, 2), money(12, 4), { a: decimal("12.3") }), {
    a: decimal("12.3"),
  });
  for (const a of [decimal("12.345"), decimal("99999999.9")])
    assert.equal(
      codeOf(() => reread(money(9, 2), money(12, 4), { a })),
      "MILL_DECODE_SCHEMA",
    );
});

test("a logical type that Avro would ignore is ignored: the type below it remains", () => {
  assert.equal(throughAvro(logical("string", "date"), "any text"), "any text");
  assert.deepEqual(
    throughAvro(logical("bytes", "decimal", { precision: 2, scale: 5 }), new Uint8Array([7])),
    new Uint8Array([7]),
  );
  assert.equal(throughAvro(logical("int", "decimal", { precision: 2 }), 7), 7);
  assert.equal(throughAvro(logical("string", "uuid"), "6f1c"), "6f1c");
});

test("the bytes are those of the Avro specification", () => {
  const bytesOf = (type: unknown, a: unknown) => [
    ...(codecOf(recordOf(field("a", type))).encode({ a }) as Buffer).subarray(5),
  ];
  assert.deepEqual(bytesOf("long", -64), [0x7f]);
  assert.deepEqual(bytesOf("long", 64), [0x80, 0x01]);
  assert.deepEqual(bytesOf("string", "foo"), [0x06, 0x66, 0x6f, 0x6f]);
  assert.deepEqual(bytesOf({ type: "array", items: "long" }, [3, 27]), [0x04, 0x06, 0x36, 0x00]);
  assert.deepEqual(bytesOf(["null", "string"], "a"), [0x02, 0x02, 0x61]);
  assert.deepEqual(
    bytesOf(logical("bytes", "decimal", { precision: 4, scale: 2 }), decimal("-1.28")),
    [0x02, 0x80],
  );
  assert.deepEqual(bytesOf(logical("int", "date"), "1970-01-02"), [0x02]);
});

test("a record that contains itself can be read to any depth that its bytes pay for", () => {
  const node = { type: "record", name: "Node", fields: [field("next", ["null", "Node"])] };
  const codec = codecOf(node);
  assert.deepEqual(codec.decode(wire(ID, 2, 2, 0)), { next: { next: { next: null } } });
  assert.equal(
    codeOf(() => codec.decode(Buffer.concat([wire(ID), Buffer.alloc(200_000, 2)]))),
    "MILL_DECODE_AVRO",
  );
});

test("a uuid of 16 bytes is a text, beside another text it is told by its branch", () => {
  const uuid = { type: "fixed", name: "U", size: 16, logicalType: "uuid" };
  const text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
  assert.equal(throughAvro(uuid, text.toUpperCase()), text);
  assert.deepEqual(throughAvro(["string", uuid], { "shop.U": text }), { "shop.U": text });
  for (const value of ["no uuid", text.slice(1), new Uint8Array(16)])
    assert.equal(writes(uuid, value), REFUSED);
  const plain = recordOf(field("a", { type: "fixed", name: "U", size: 16 }));
  const bytes = new Uint8Array(Buffer.from(text.replaceAll("-", ""), "hex"));
  assert.deepEqual(reread(recordOf(field("a", uuid)), plain, { a: bytes }), { a: text });
  assert.deepEqual(reread(plain, recordOf(field("a", uuid)), { a: text }), { a: bytes });
});

test("a default of a union may be of any branch, and is complete", () => {
  const inner = {
    type: "record",
    name: "In",
    fields: [field("n", "int"), field("b", "bytes", { default: "\u00ff" })],
  };
  const withDefault = (type: unknown, value: unknown) =>
    (
      reread(recordOf(field("a", type, { default: value })), recordOf(field("z", "int")), {
        z: 1,
      }) as { a: unknown }
    ).a;
  assert.equal(withDefault(["null", "string"], "x"), "x");
  assert.equal(withDefault(["null", "string"], null), null);
  assert.deepEqual(withDefault(["int", "double"], 1.5), { double: 1.5 });
  assert.deepEqual(withDefault(["null", inner], { n: 1 }), { n: 1, b: new Uint8Array([255]) });
  assert.deepEqual(withDefault({ type: "map", values: ["null", inner] }, { k: { n: 2 } }), {
    k: { n: 2, b: new Uint8Array([255]) },
  });
  const itself = recordOf(field("next", "Order", { default: {} }));
  assert.match(String(messageOf(() => codecOf(itself))), /a default contains itself/);
});

function messageOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}
