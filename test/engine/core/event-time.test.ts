import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  DEFAULT_TIME_RULE,
  kafkaTimeFault,
  spanText,
  timeFault,
} from "../../../src/engine/core/event-time.ts";

const NOW = Date.UTC(2026, 10, 29);
const HOUR = 3_600_000;
const fault = (given: unknown, kafkaMs = NOW, futureMaxMs = HOUR): string => {
  const found = timeFault(given, kafkaMs, { ...DEFAULT_TIME_RULE, futureMaxMs });
  return found === null ? "fine" : `${found.code.slice("MILL_DECODE_".length)}: ${found.detail}`;
};

describe("what is no number of milliseconds from 1970 on is no timestamp", () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [null, /returned null/],
    [undefined, /returned undefined/],
    ["", /an empty text/],
    ["1767225600000", /a text: parse it/],
    ["2026-01-01T00:00:00Z", /a text: parse it/],
    [[], /an array/],
    [[1_767_225_600_000], /an array/],
    [true, /a value of type boolean/],
    [false, /a value of type boolean/],
    [NaN, /NaN/],
    [Infinity, /an infinite number/],
    [-Infinity, /a number below 0/],
    [-1, /a number below 0/],
    [-0.5, /a number below 0/],
    [new Date(NOW), /a Date: return its getTime/],
    [BigInt(NOW) * 1_000n, /a bigint: divide it/],
    [BigInt(NOW), /a bigint: divide it/],
    [{}, /a value of type object/],
    [{ valueOf: () => NOW }, /a value of type object/],
    [Object(NOW), /a value of type object/],
    [Symbol("t"), /a value of type symbol/],
    [() => NOW, /a value of type function/],
  ];
  for (const [given, words] of cases)
    test(typeof given === "object" ? JSON.stringify(given) : String(given), () => {
      assert.match(fault(given), /^NO_TIMESTAMP: the topic's timestamp function returned /);
      assert.match(fault(given), words);
      assert.match(fault(given, -1), /^NO_TIMESTAMP/);
    });
});

test("a time up to futureMax ahead of Kafka's timestamp is taken, one beyond it is not", () => {
  for (const given of [NOW, NOW + HOUR, NOW - 30 * 365 * 24 * HOUR, NOW + 0.5, 1e11])
    assert.equal(fault(given), "fine");
  assert.equal(fault(NOW + HOUR + 1), "FUTURE_TIMESTAMP: more than 1 hour, the topic's futureMax");
  assert.equal(fault(NOW + 2 * HOUR, NOW, 2 * HOUR), "fine");
  assert.equal(fault(NOW + 1, NOW, 0), "FUTURE_TIMESTAMP: more than 0 ms, the topic's futureMax");
  assert.equal(fault(NOW, NOW, 0), "fine");
});

test("other units are suspected by name, whatever futureMax says", () => {
  const patient = 1e18;
  for (const futureMaxMs of [HOUR, patient]) {
    assert.match(
      fault(NOW * 1e3, NOW, futureMaxMs),
      /^FUTURE_TIMESTAMP: .*looks like microseconds/,
    );
    assert.match(fault(NOW * 1e6, NOW, futureMaxMs), /^FUTURE_TIMESTAMP: .*looks like nanoseconds/);
    assert.match(fault(1e25, NOW, futureMaxMs), /^FUTURE_TIMESTAMP: it is no date/);
    assert.match(fault(NOW / 1e3, NOW, futureMaxMs), /^TIMESTAMP_UNIT: it looks like seconds/);
  }
  // Microseconds of 1975, the last ones before the year 5138 in milliseconds; and seconds up to March 1973.
  assert.match(fault(1.6e14), /looks like microseconds/);
  assert.match(fault(Date.UTC(9999, 11, 31)), /the year 9999, as a date that stands for no date/);
  assert.match(fault(99_999_999_999), /looks like seconds/);
  assert.match(fault(1.5), /looks like seconds/);
  assert.match(fault(0), /it is 0, which looks like seconds, or like a field that was never set/);
});

test("beside a Kafka timestamp that counts from 0 small times are what they are", () => {
  assert.equal(fault(7, 10), "fine");
  assert.equal(fault(0, 10), "fine");
  assert.match(fault(HOUR + 11, 10), /^FUTURE_TIMESTAMP/);
  assert.match(fault(8.64e15 + 1, 10, 1e17), /^FUTURE_TIMESTAMP: it is no date/);
});

test("without a Kafka timestamp only what no clock can say in milliseconds is refused", () => {
  for (const kafkaMs of [-1, 9e15]) {
    assert.equal(fault(NOW, kafkaMs), "fine");
    assert.equal(fault(NOW + 1_000 * HOUR, kafkaMs), "fine");
    assert.match(fault(NOW * 1e3, kafkaMs), /looks like microseconds/);
    assert.match(fault(NOW * 1e6, kafkaMs), /looks like nanoseconds/);
    assert.equal(kafkaTimeFault(kafkaMs)?.code, "MILL_DECODE_NO_TIMESTAMP");
  }
  assert.equal(kafkaTimeFault(0), null);
  assert.equal(kafkaTimeFault(NOW * 1e3), null);
});

test("no message holds a value", () => {
  for (const given of [
    "secret",
    NOW + 2 * HOUR,
    NOW * 1e3,
    NOW / 1e3,
    { at: "secret" },
    ["secret"],
  ])
    assert.doesNotMatch(fault(given), /secret|\d{6}/);
});

test("a span is said in its largest whole unit", () => {
  const spans = [0, 1_500, 1_000, 90_000, HOUR, 90 * 60_000, 48 * HOUR];
  assert.deepEqual(spans.map(spanText), [
    "0 ms",
    "1500 ms",
    "1 second",
    "90 seconds",
    "1 hour",
    "90 minutes",
    "2 days",
  ]);
});
