import assert from "node:assert/strict";
import { test } from "node:test";
import { UNKNOWN_CUSTOMER, dimCustomers } from "../../src/tables/dim-customers.ts";
import { dateIdOf, dimDates } from "../../src/tables/dim-dates.ts";
import { factOrders } from "../../src/tables/fact-orders.ts";

test("the calendar has every UTC day of 2015 to 2035 once", () => {
  const days = [...dimDates.rows()];
  assert.equal(days.length, 7_670);
  assert.equal(new Set(days.map(({ dateId }) => dateId)).size, 7_670);
  assert.equal(days[0]?.date, "2015-01-01");
  assert.equal(days.at(-1)?.date, "2035-12-31");
});

test("a day knows its quarter, weekday and weekend", () => {
  const day = (dateId: number) => [...dimDates.rows()].find((row) => row.dateId === dateId);
  assert.deepEqual(day(20_240_229), {
    dateId: 20_240_229,
    date: "2024-02-29",
    year: 2024,
    quarter: 1,
    month: 2,
    day: 29,
    dayOfWeek: 4,
    isWeekend: false,
  });
  assert.deepEqual([day(20_261_004)?.dayOfWeek, day(20_261_004)?.quarter], [7, 4]);
  assert.equal(day(20_261_003)?.isWeekend, true);
  assert.equal(day(20_261_002)?.isWeekend, false);
});

test("a date id is the UTC day, whatever zone the machine is in", () => {
  assert.equal(dateIdOf(Date.UTC(2026, 11, 31, 23, 59, 59, 999)), 20_261_231);
  assert.equal(dateIdOf(Date.UTC(2027, 0, 1)), 20_270_101);
});

test("the unknown customer is always there", () => {
  assert.deepEqual(
    [...dimCustomers.rows()].map(({ customerId }) => customerId),
    [UNKNOWN_CUSTOMER],
  );
});

test("an older update never overwrites a newer one: the fact's version is its update time", () => {
  assert.equal(factOrders.version, "updatedAt");
  assert.deepEqual(factOrders.key, ["orderId"]);
});
