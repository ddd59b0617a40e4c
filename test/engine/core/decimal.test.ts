import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal, fromUnscaled, isDecimal, unscaledOf } from "../../../src/engine/core/decimal.ts";
import {
  readTwosComplement,
  twosComplementLength,
  writeTwosComplement,
} from "../../../src/engine/core/twos-complement.ts";

const aDecimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 12 }))
  .map(([unscaled, scale]) => fromUnscaled(unscaled, scale));

test("adds, subtracts and multiplies exactly where numbers would round", () => {
  assert.equal(decimal("0.1").plus("0.2").toString(), "0.3");
  assert.equal(decimal("1").minus("0.9").toString(), "0.1");
  assert.equal(decimal("1.1").times("1.1").toString(), "1.21");
  assert.equal(decimal("99999999999999999999.99").plus("0.01").toString(), "100000000000000000000");
});

test("equal numbers are deeply equal and print alike, whatever they were made of", () => {
  assert.deepEqual(decimal("12.30"), decimal("12.3"));
  assert.deepEqual(decimal("1.2e1"), decimal(12n));
  assert.equal(decimal("-0.00").toString(), "0");
  assert.equal(JSON.stringify({ amount: decimal("012.50") }), '{"amount":"12.5"}');
  assert.notDeepEqual(decimal("1"), decimal("2"));
});

test("addition and multiplication obey the laws of arithmetic", () => {
  fc.assert(
    fc.property(aDecimal, aDecimal, aDecimal, (a, b, c) => {
      assert.deepEqual(a.plus(b), b.plus(a));
      assert.deepEqual(a.plus(b).minus(b), a);
      assert.deepEqual(a.times(b.plus(c)), a.times(b).plus(a.times(c)));
      assert.equal(a.cmp(b), -b.cmp(a) + 0);
      assert.deepEqual(decimal(a.toString()), a);
    }),
  );
});

test("divides to twenty places, rounded half-up", () => {
  assert.equal(decimal("1200").div(12n).toString(), "100");
  assert.equal(decimal("1").div("3").toString(), "0.33333333333333333333");
  assert.equal(decimal("2").div("3").toString(), "0.66666666666666666667");
  assert.equal(decimal("-2").div("3").toString(), "-0.66666666666666666667");
  assert.equal(decimal("1").div("0.00001").toString(), "100000");
  assert.equal(
    decimal(`0.${"0".repeat(25)}5`)
      .div("1")
      .toString(),
    "0",
  );
  assert.throws(() => decimal("1").div(0n), RangeError);
});

test("rounds in each mode, also negative numbers", () => {
  const roundings = (text: string) => [
    decimal(text).round(0).toString(),
    decimal(text).round(0, "half-even").toString(),
    decimal(text).round(0, "down").toString(),
    decimal(text).round(0, "up").toString(),
  ];
  assert.deepEqual(roundings("2.5"), ["3", "2", "2", "3"]);
  assert.deepEqual(roundings("3.5"), ["4", "4", "3", "4"]);
  assert.deepEqual(roundings("-2.5"), ["-3", "-2", "-2", "-3"]);
  assert.deepEqual(roundings("-2.4"), ["-2", "-2", "-2", "-3"]);
  assert.equal(decimal("1.005").round(2).toString(), "1.01");
});

test("toFixed pads and rounds", () => {
  assert.equal(decimal("12.3").toFixed(2), "12.30");
  assert.equal(decimal("-0.005").toFixed(2), "-0.01");
  assert.equal(decimal("-0.001").toFixed(2), "0.00");
  assert.equal(decimal("5").toFixed(), "5");
  assert.equal(decimal("0.05").toFixed(0), "0");
});

test("compares with texts and bigints", () => {
  assert.ok(decimal("-0.01").lt(0n) && decimal("1.5").gt("1.49") && decimal("1").eq("1.0"));
  assert.ok(decimal("1").gte(1n) && decimal("1").lte(1n) && !decimal("1").gt(1n));
  assert.deepEqual(decimal("-3.5").abs(), decimal("3.5"));
  assert.deepEqual(decimal("3.5").neg(), decimal("-3.5"));
});

test("JavaScript numbers are refused, and so is arithmetic by operator", () => {
  const amount = decimal("1");
  assert.throws(() => decimal(0.1 as never), TypeError);
  assert.throws(() => decimal("1").plus(0.1 as never), TypeError);
  assert.throws(() => decimal(null as never), TypeError);
  assert.throws(() => amount < decimal("2"), TypeError);
  assert.throws(() => Number(amount), TypeError);
});

test("only decimal texts are taken, and none that would fill the memory", () => {
  for (const text of ["", " 1", "1 ", "abc", ".", "1,5", "0x10", "NaN", "Infinity", "1e", "--1"])
    assert.throws(() => decimal(text), RangeError, text);
  assert.throws(() => decimal("1e99999"), RangeError);
  assert.equal(decimal(".5").toString(), "0.5");
  assert.equal(decimal("+5.").toString(), "5");
  assert.equal(decimal("5e-3").toString(), "0.005");
});

test("the unscaled value is exact, or missing when there are more places than the scale", () => {
  assert.equal(unscaledOf(decimal("12.3"), 2), 1230n);
  assert.equal(unscaledOf(decimal("12.345"), 2), null);
  assert.ok(isDecimal(decimal("1")) && !isDecimal({ plus: 1 }) && !isDecimal("1"));
});

test("two's complement comes back from the fewest bytes and from more", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 130n), max: 2n ** 130n }),
      fc.nat({ max: 9 }),
      (value, extra) => {
        const least = twosComplementLength(value);
        const bytes = Buffer.alloc(least + extra);
        writeTwosComplement(value, bytes, 0, bytes.length);
        assert.equal(readTwosComplement(bytes, 0, bytes.length), value);
        const [first, second] = [bytes[extra] as number, bytes[extra + 1] ?? 0x100];
        const isPadded = (first === 0 && second < 0x80) || (first === 0xff && second >= 0x80);
        assert.ok(least === 1 || !isPadded || second === 0x100, "a shorter form would do");
      },
    ),
  );
});

test("two's complement agrees with Java's BigInteger at the edges", () => {
  const hexOf = (value: bigint) => {
    const bytes = Buffer.alloc(twosComplementLength(value));
    writeTwosComplement(value, bytes, 0, bytes.length);
    return bytes.toString("hex");
  };
  const edges: [bigint, string][] = [
    [0n, "00"],
    [-1n, "ff"],
    [127n, "7f"],
    [128n, "0080"],
    [-128n, "80"],
    [-129n, "ff7f"],
    [2n ** 63n, "008000000000000000"],
    [-(2n ** 63n), "8000000000000000"],
    [2n ** 39n, "008000000000"],
  ];
  for (const [value, hex] of edges) assert.equal(hexOf(value), hex);
});
