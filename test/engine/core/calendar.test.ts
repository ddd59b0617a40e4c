import assert from "node:assert/strict";
import { test } from "node:test";
import {
  dateTextOf,
  daysOf,
  localCountOf,
  localTextOf,
} from "../../../src/engine/core/calendar.ts";

test("a date and its day are one, from the year 0000 to 9999", () => {
  for (const [days, text] of [
    [0, "1970-01-01"],
    [-1, "1969-12-31"],
    [20_458, "2026-01-05"],
    [-719_528, "0000-01-01"],
    [2_932_896, "9999-12-31"],
  ] as const) {
    assert.equal(dateTextOf(days), text);
    assert.equal(daysOf(text), days);
  }
  assert.equal(dateTextOf(2_932_897), null);
  assert.equal(dateTextOf(-719_529), null);
});

test("what is no day of the calendar has no number", () => {
  for (const text of ["2026-02-30", "2026-13-01", "2026-1-1", "2026-01-01T00", "", "+02026-01-01"])
    assert.equal(daysOf(text), null, text);
  assert.equal(daysOf("2024-02-29"), 19_782);
});

test("local times keep every digit, also before 1970", () => {
  assert.equal(localTextOf(-1n, 9), "1969-12-31T23:59:59.999999999");
  assert.equal(localTextOf(-1n, 6), "1969-12-31T23:59:59.999999");
  assert.equal(localTextOf(1n, 3), "1970-01-01T00:00:00.001");
  assert.equal(localCountOf("1969-12-31T23:59:59.999999999", 9), -1n);
  assert.equal(localCountOf("1970-01-01T00:00:00.001", 3), 1n);
});

test("local times have exactly the digits of their type, and hours of a day", () => {
  for (const text of [
    "2026-01-05T11:53:26",
    "2026-01-05T24:00:00.000",
    "2026-01-05T11:53:26.0000",
    "2026-01-05 11:53:26.000",
  ])
    assert.equal(localCountOf(text, 3), null, text);
});
