import assert from "node:assert/strict";
import { test } from "node:test";
import { isOrderStatus } from "../../topics/clean-orders.ts";
import { orders, type Order } from "../../topics/orders.ts";
import { DecodeError } from "../../src/engine/core/errors.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import { generateOrders, type OrderOptions } from "../../src/demo/orders.ts";
import type { GeneratedRecord } from "../../src/demo/generated-record.ts";

const SCHEMA_ID = 7;
const codec = compileCodec(orders.value.format, {
  schemas: {
    get: (id) => (id === SCHEMA_ID ? JSON.stringify(avroOf(orders.value.format)) : "unknown"),
  },
  writerId: SCHEMA_ID,
});
function avroOf(format: typeof orders.value.format): unknown {
  assert.equal(format.kind, "avro");
  return format.schema;
}

const made = (options: Partial<OrderOptions> = {}): GeneratedRecord<Order>[] => [
  ...generateOrders({ seed: 1, count: 1_000, ...options }),
];
const values = (records: readonly GeneratedRecord<Order>[]): Order[] =>
  records.filter(({ damage }) => damage === undefined).map(({ value }) => value);
const bytesOf = ({ value, damage }: GeneratedRecord<Order>): Buffer => {
  const bytes = codec.encode(value);
  assert.ok(bytes);
  return damage === undefined ? bytes : damage(bytes);
};
const hexOf = (records: readonly GeneratedRecord<Order>[]): string =>
  records.map((record) => `${record.key} ${bytesOf(record).toString("hex")}`).join("\n");

test("of 10,000 orders exactly 800 have no customer and 200 others a negative amount", () => {
  const all = values(made({ count: 10_000 }));
  const withoutCustomer = all.filter((o) => o.customerId === null);
  const negative = all.filter((o) => o.totalAmount.lt(0n));
  assert.equal(all.length, 10_000);
  assert.equal(new Set(all.map((o) => o.orderId)).size, 10_000);
  assert.equal(withoutCustomer.length, 800);
  assert.equal(negative.length, 200);
  assert.equal(withoutCustomer.filter((o) => o.totalAmount.lt(0n)).length, 0);
});

test("the anomalies are scattered, not gathered at one end", () => {
  const all = values(made({ count: 10_000 }));
  const early = all.slice(0, 5_000).filter((o) => o.customerId === null).length;
  assert.ok(early > 300 && early < 500, `${String(early)} of 800 in the first half`);
});

test("statuses come in every casing and with spaces, and all are known once normalised", () => {
  const statuses = new Set(values(made()).map((o) => o.status));
  assert.ok([...statuses].some((s) => s !== s.trim()));
  assert.ok([...statuses].some((s) => s !== s.toLowerCase()));
  assert.ok([...statuses].every((s) => isOrderStatus(s.trim().toLowerCase())));
});

test("the same seed gives the same bytes, another seed others", () => {
  const options = { updates: 50, repeats: 20, poison: 3 };
  assert.equal(hexOf(made(options)), hexOf(made(options)));
  assert.notEqual(hexOf(made({ ...options, seed: 2 })), hexOf(made(options)));
});

test("an update is a good order again, newer than everything before it", () => {
  const all = values(made({ updates: 100 }));
  const first = new Map(all.slice(0, 1_000).map((o) => [o.orderId, o]));
  const updates = all.slice(1_000);
  assert.equal(updates.length, 100);
  let newest = Math.max(...all.slice(0, 1_000).map((o) => o.updatedAt));
  for (const update of updates) {
    assert.ok(update.updatedAt > newest);
    newest = update.updatedAt;
    assert.equal(first.get(update.orderId)?.orderDate, update.orderDate);
    assert.notEqual(update.customerId, null);
    assert.ok(update.totalAmount.gte(0n));
  }
});

test("a repeat is an order exactly as it first came", () => {
  const all = values(made({ repeats: 40 }));
  const first = new Map(all.slice(0, 1_000).map((o) => [o.orderId, o]));
  const repeats = all.slice(1_000);
  assert.equal(repeats.length, 40);
  for (const repeat of repeats) assert.deepEqual(repeat, first.get(repeat.orderId));
});

test("poison is ten records of each of five kinds, scattered, and none can be decoded", () => {
  const all = made({ count: 500, poison: 10 });
  const poison = all.filter(({ damage }) => damage !== undefined);
  assert.equal(all.length, 550);
  assert.equal(poison.length, 50);
  assert.equal(all.slice(0, 275).filter(({ damage }) => damage !== undefined).length, 25);
  const codes = new Map<string, string[]>();
  for (const record of poison) {
    const kind = record.key.replace(/^poison-(.*)-\d+$/, "$1");
    codes.set(kind, [...(codes.get(kind) ?? []), codeOf(record)]);
  }
  const ten = (code: string): string[] => new Array<string>(10).fill(code);
  assert.deepEqual(Object.fromEntries(codes), {
    "wrong-magic": ten("MILL_DECODE_MAGIC"),
    "unknown-schema": ten("MILL_DECODE_UNKNOWN_SCHEMA"),
    truncated: ten("MILL_DECODE_AVRO"),
    empty: ten("MILL_DECODE_EMPTY"),
    random: ten("MILL_DECODE_MAGIC"),
  });
});

function codeOf(record: GeneratedRecord<Order>): string {
  try {
    codec.decode(bytesOf(record));
    return "decoded";
  } catch (error) {
    assert.ok(error instanceof DecodeError);
    return error.code;
  }
}

test("truncated and random poison stay poison over many seeds", () => {
  for (let seed = 0; seed < 200; seed++)
    for (const record of made({ seed, count: 1, poison: 2 }).filter((r) => r.damage !== undefined))
      assert.match(codeOf(record), /^MILL_DECODE_/);
});

test("good orders survive their codec", () => {
  for (const record of made({ count: 50 }))
    assert.deepEqual(codec.decode(bytesOf(record)), record.value);
});
