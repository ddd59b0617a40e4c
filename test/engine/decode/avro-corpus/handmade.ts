// Pairs that chance seldom draws: reported cases, names that meet, the edges of the rules.
import type { Pair } from "./generate.ts";
import { text, varint } from "./writers.ts";

const field = (name: string, type: unknown, more: object = {}): object => ({ name, type, ...more });
const record = (name: string, ...fields: object[]): object => ({ type: "record", name, fields });
const order = (...fields: object[]): object => record("shop.Order", ...fields);
const hex = (...parts: readonly (Buffer | number)[]): string =>
  Buffer.concat(parts.map((p) => (typeof p === "number" ? varint(BigInt(p)) : p))).toString("hex");
const raw = (...bytes: readonly number[]): Buffer =>
  Buffer.concat([varint(BigInt(bytes.length)), Buffer.from(bytes)]);
const decimal = (precision: number, scale: number): object => ({
  type: "bytes",
  logicalType: "decimal",
  precision,
  scale,
});
const pair = (writer: unknown, reader: unknown, ...bodies: readonly string[]): Pair => ({
  writer,
  reader,
  bodies,
});
const a = (type: unknown, more: object = {}): object => order(field("a", type, more));

const card = (namespace: string, ...more: object[]): object =>
  record(`${namespace}.Card`, field("no", "string"), ...more);
const kind = field("kind", "string", { default: "?" });
const [first, second] = [hex(0, text("n")), hex(1, text("n"))];
const node = (...more: object[]): object =>
  record("Node", field("n", "int"), field("next", ["null", "Node"]), ...more);

const unions: readonly Pair[] = [
  pair(a([card("a"), card("b")]), a([card("a", kind), card("b")]), first, second),
  pair(a([card("a"), card("b")]), a([card("b"), card("a")]), first, second),
  pair(a(card("c")), a([card("a"), card("b", kind)]), hex(text("n"))),
  pair(a([card("c"), "null"]), a(["null", card("a", field("z", "int"))]), first, hex(1)),
  pair(a(record("x.Other", field("no", "string"))), a(["null", card("a")]), hex(text("n"))),
  pair(a(["null", "string"]), a("string"), hex(1, text("x")), hex(0)),
  pair(a(["null", "string", "int"]), a(["int", "null"]), hex(1, text("x")), hex(2, 7), hex(0)),
  pair(a(["int", "string"]), a(["double", "bytes"]), hex(0, 7), hex(1, text("x"))),
  pair(a("int"), a(["string", "double", "long"]), hex(7)),
  pair(a("int"), a(["string", "long", "int"]), hex(7)),
  pair(a(["null", { type: "array", items: card("a") }]), a(["null", card("a")]), hex(0), hex(1, 0)),
];

const names: readonly Pair[] = [
  pair(a("int"), record("shop.Purchase", field("a", "int")), hex(7)),
  pair(a("int"), record("old.Order", field("a", "long")), hex(7)),
  pair(
    order(field("id", "string"), field("größe", "int")),
    order(field("id", "string")),
    hex(text("x"), 1),
  ),
  pair(order(field("constructor", "int"), field("a", "int")), a("int"), hex(1, 2)),
  pair(a("int"), order(field("a", "int"), field("toString", "int", { default: 3 })), hex(2)),
  pair(
    order(field("x", "int"), field("y", "int")),
    order(field("z", "int", { aliases: ["y", "q"] })),
    hex(1, 2),
  ),
  pair(
    order(
      field("k", { type: "enum", name: "Kind", namespace: "", symbols: ["A"] }),
      field("l", "Kind"),
    ),
    order(field("l", { type: "enum", name: "Kind", namespace: "", symbols: ["A"] })),
    hex(0, 0),
  ),
  pair(
    order(
      field("c", record("Card", field("k", { type: "fixed", name: "K", size: 1 }))),
      field("k", "K"),
    ),
    order(field("k", { type: "fixed", name: "shop.K", size: 1 })),
    "0102",
  ),
  pair(node(), node(field("m", ["null", "int"], { default: null })), hex(1, 1, 2, 0), hex(3, 0)),
];

const values: readonly Pair[] = [
  pair(
    order(field("id", "string"), field("msg", ["null", "string"], { default: "" })),
    order(field("id", "string")),
    "04783200",
  ),
  pair(a("int", { default: "seven" }), a("long"), hex(7)),
  pair(a(decimal(10, 2)), a(decimal(3, 2)), hex(raw(0x04, 0xd2, 0xd2)), hex(raw(0x7b))),
  pair(a(decimal(10, 2)), a(decimal(12, 4)), hex(raw(0x04, 0xd2))),
  pair(a("string"), a(decimal(10, 0)), hex(text("12"))),
  pair(a("int"), a({ type: "int", logicalType: "date" }), hex(5_000_000), hex(5)),
  pair(a("long"), a("float"), hex(2 ** 24 + 1), hex(varint(2n ** 62n + 1n))),
  pair(a("long"), a("double"), hex(varint(2n ** 53n + 1n))),
  pair(a("int"), a("float"), hex(2 ** 24 + 1)),
  pair(
    a({ type: "long", logicalType: "timestamp-micros" }),
    a({ type: "long", logicalType: "timestamp-millis" }),
    hex(7),
  ),
  pair(
    a({ type: "array", items: "string" }),
    a({ type: "array", items: "int" }),
    hex(0),
    hex(1, text("x"), 0),
  ),
  pair(
    a({ type: "enum", name: "E", symbols: ["A", "B"] }),
    a({ type: "enum", name: "E", symbols: ["B"] }),
    hex(0),
    hex(1),
  ),
  pair(
    a("int"),
    order(field("a", "int"), field("b", ["null", "string"], { default: "second" })),
    hex(7),
  ),
  pair(a("int"), order(field("a", "int"), field("b", ["null", node()], { default: null })), hex(7)),
];

export const handmade: readonly Pair[] = [...unions, ...names, ...values];
