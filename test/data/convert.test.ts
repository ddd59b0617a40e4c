import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, decimal } from "#engine";
import {
  cellReader,
  fieldNamed,
  firstFieldOf,
  jsonReader,
  snakeOf,
} from "../../src/data/convert.ts";
import { Mismatch } from "../../src/data/mismatch.ts";
import { transactions } from "../../topics/retail.ts";

const formatOf = (fields: Readonly<Record<string, unknown>>) =>
  avro({
    type: "record",
    name: "Row",
    fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
  } as never).format;
const money = { type: "bytes", logicalType: "decimal", precision: 6, scale: 2 };
const logical = (type: string, logicalType: string) => ({ type, logicalType });

/** One cell by one type; a Mismatch's text when it is refused. */
function cell(type: unknown, text: string): unknown {
  try {
    return cellReader(formatOf({ x: type }), ["x"])([text])["x"];
  } catch (error) {
    assert.ok(error instanceof Mismatch, String(error));
    assert.equal(error.field, "x");
    return error.message;
  }
}
function json(type: unknown, value: unknown): unknown {
  try {
    return jsonReader(formatOf({ x: type }))({ x: value })["x"];
  } catch (error) {
    assert.ok(error instanceof Mismatch, String(error));
    return error.message;
  }
}

test("a line of the real file becomes a typed value", () => {
  const header =
    "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,week,transaction_timestamp";
  const line = "900,330,31198570044,1095275,1,0.5,0.0,0.0,0.0,1,2017-01-01 11:53:26";
  const read = cellReader(transactions.value.format, header.split(","));
  assert.deepEqual(read(line.split(",")), {
    householdId: "900",
    storeId: "330",
    basketId: 31_198_570_044,
    productId: "1095275",
    quantity: 1,
    salesValue: decimal("0.5"),
    retailDisc: decimal("0"),
    couponDisc: decimal("0"),
    couponMatchDisc: decimal("0"),
    week: 1,
    transactionTimestamp: Date.UTC(2017, 0, 1, 11, 53, 26),
  });
});

test("decimals keep their digits and refuse those that the schema has no room for", () => {
  assert.deepEqual(cell(money, "12.30"), decimal("12.3"));
  assert.deepEqual(cell(money, "-0.07"), decimal("-0.07"));
  assert.deepEqual(cell(money, "1.5000"), decimal("1.5"));
  assert.deepEqual(cell(money, "9999.99"), decimal("9999.99"));
  for (const text of ["0.005", "10000", "10000.00", "1e3", "", "12,3", ".5", "NaN", " 1"])
    assert.equal(cell(money, text), "expected a decimal of at most 6 digits, 2 behind the point");
});

test("a JSON number is taken as a decimal only while no digit can have been lost", () => {
  const wide = { type: "bytes", logicalType: "decimal", precision: 30, scale: 10 };
  assert.deepEqual(json(wide, 0.1), decimal("0.1"));
  assert.deepEqual(json(wide, "12345678901234567.5"), decimal("12345678901234567.5"));
  assert.match(String(json(wide, 123456.7890123457)), /as text/);
  assert.match(String(json(wide, true)), /decimal/);
});

test("whole numbers are checked against their range and never rounded", () => {
  assert.equal(cell("int", "-2147483648"), -2_147_483_648);
  assert.match(String(cell("int", "2147483648")), /at most 2147483647/);
  assert.equal(cell("long", "9007199254740991"), Number.MAX_SAFE_INTEGER);
  assert.match(String(cell("long", "9007199254740993")), /at most 9007199254740991/);
  assert.equal(cell(logical("long", "bigint"), "9007199254740993"), 9_007_199_254_740_993n);
  for (const text of ["1.0", "", "one", "0x10", "1e3"])
    assert.match(String(cell("int", text)), /whole number/);
  assert.match(String(json("int", "12")), /whole number/);
});

test("times are UTC, in three spellings", () => {
  const millis = logical("long", "timestamp-millis");
  const expected = Date.UTC(2017, 0, 1, 11, 53, 26);
  for (const text of [
    "2017-01-01 11:53:26",
    "2017-01-01T11:53:26",
    "2017-01-01T11:53:26Z",
    "2017-01-01T13:53:26.000+02:00",
    "2017-01-01T06:23:26-0530",
    String(expected),
  ])
    assert.equal(cell(millis, text), expected, text);
  assert.equal(cell(millis, "2017-01-01"), Date.UTC(2017, 0, 1));
  assert.equal(cell(millis, "2017-01-01 11:53:26.250"), expected + 250);
  assert.equal(json(millis, expected), expected);
  assert.equal(cell(millis, "1969-12-31 23:59:59.999"), -1);
});

test("times that no calendar has, or finer than the schema, are refused", () => {
  const millis = logical("long", "timestamp-millis");
  for (const text of [
    "2017-02-30 00:00:00",
    "2017-13-01",
    "2017-01-01 24:00:00",
    "yesterday",
    "",
    "2017-01-01 11:53:26.0001",
    "01/02/2017",
  ])
    assert.match(String(cell(millis, text)), /^expected a (time|day)/, text);
  assert.equal(cell(logical("long", "timestamp-micros"), "1970-01-01 00:00:00.000001"), 1n);
  assert.equal(cell(logical("int", "date"), "2026-01-05"), "2026-01-05");
  assert.match(String(cell(logical("int", "date"), "2026-02-29")), /a day/);
  assert.equal(cell(logical("int", "time-millis"), "00:01:00.5"), 60_500);
  assert.equal(
    cell(logical("long", "local-timestamp-millis"), "2026-01-05 11:53"),
    "2026-01-05T11:53:00.000",
  );
});

test("an empty cell is null where null is allowed, else an empty text or refused", () => {
  assert.equal(cell(["null", "string"], ""), null);
  assert.equal(cell(["null", "int"], ""), null);
  assert.equal(cell(["null", "int"], "7"), 7);
  assert.equal(cell("string", ""), "");
});

test("booleans, enums and bytes", () => {
  assert.equal(cell("boolean", "TRUE"), true);
  assert.match(String(cell("boolean", "1")), /true or false/);
  const status = { type: "enum", name: "Status", symbols: ["open", "closed"] };
  assert.equal(cell(status, "open"), "open");
  assert.equal(cell(status, "Open"), "expected one of open, closed");
  assert.deepEqual(cell("bytes", "AAE="), Buffer.of(0, 1));
  assert.match(String(cell("bytes", "AAE")), /Base64/);
});

test("a header with an unknown, a doubled or a missing column is refused by its name", () => {
  const format = formatOf({ orderId: "string", note: ["null", "string"] });
  const refused = (header: string[]): string => {
    const error = caught(() => cellReader(format, header));
    return `${error.field}: ${error.message}`;
  };
  assert.equal(refused(["order_id", "colour"]), "colour: expected a field of the topic's schema");
  assert.equal(refused(["order_id", "orderId"]), "order_id: expected a column only once");
  assert.equal(refused(["note"]), "order_id: expected a column for it");
  assert.deepEqual(cellReader(format, ["order_id"])(["o-1"]), { orderId: "o-1", note: null });
});

test("nested values are read from JSON, refused in CSV, and errors name the path", () => {
  const format = formatOf({
    lines: {
      type: "array",
      items: { type: "record", name: "Line", fields: [{ name: "unitPrice", type: money }] },
    },
    tags: { type: "map", values: "int" },
  });
  const read = jsonReader(format);
  assert.deepEqual(read({ lines: [{ unit_price: "1.25" }], tags: { a: 1 } }), {
    lines: [{ unitPrice: decimal("1.25") }],
    tags: { a: 1 },
  });
  const refused = caught(() =>
    read({ lines: [{ unitPrice: "1.25" }, { unitPrice: "x" }], tags: {} }),
  );
  assert.equal(refused.field, "lines.1.unitPrice");
  assert.equal(caught(() => read({ lines: [], tags: {}, more: 1 })).field, "more");
  assert.equal(caught(() => read({ lines: [] })).field, "tags");
  assert.equal(caught(() => read([])).field, "");
  assert.equal(caught(() => cellReader(format, ["lines", "tags"])).field, "lines");
});

test("a refusal never quotes what was found", () => {
  const { message } = caught(() =>
    jsonReader(formatOf({ email: "int" }))({ email: "ada@home.example" }),
  );
  assert.doesNotMatch(message, /ada/);
});

test("fields are found by either spelling, and the first is the natural key", () => {
  const { format } = transactions.value;
  assert.equal(snakeOf("couponMatchDisc"), "coupon_match_disc");
  assert.equal(fieldNamed(format, "coupon_match_disc"), "couponMatchDisc");
  assert.equal(fieldNamed(format, "couponMatchDisc"), "couponMatchDisc");
  assert.equal(fieldNamed(format, "coupon"), null);
  assert.equal(firstFieldOf(format), "householdId");
});

function caught(run: () => unknown): Mismatch {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Mismatch, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}
