import assert from "node:assert/strict";
import { test } from "node:test";
import {
  fields,
  flag,
  listOf,
  mapOf,
  nullable,
  offsetText,
  oneOf,
  optional,
  parseForeign,
  parseKnown,
  shownKey,
  text,
  time,
  whole,
  type Check,
} from "../../../src/engine/core/foreign.ts";

const whyOf = (value: unknown, check: Check): string | null => {
  const result = parseForeign(typeof value === "string" ? value : JSON.stringify(value), check);
  return "why" in result ? result.why : null;
};

test("what is not JSON, too long or too deep is refused without an error of its own", () => {
  for (const wrong of ["{garbage", "", "\u0000", "[".repeat(200_000), '{"a":'])
    assert.equal(whyOf(wrong, flag), "it is not JSON", wrong.slice(0, 10));
  assert.match(whyOf(`"${"x".repeat(1_000_001)}"`, flag) ?? "", /longer than 1000000 characters/);
  const deep = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  assert.match(whyOf(deep(100_000), flag) ?? "", /nested more than 20 deep/);
  assert.equal(whyOf(deep(20), flag), "it is not true or false");
});

test("a field that would replace a prototype is refused wherever it is", () => {
  const check = fields({ a: optional(whole()) });
  assert.equal(whyOf('{"__proto__":{"a":1}}', check), "it has a field __proto__");
  assert.equal(whyOf('{"b":[{"__proto__":1}]}', check), "it has a field __proto__");
  // What an object inherits is none of its fields.
  assert.match(whyOf("{}", fields({ constructor: text(10) })) ?? "", /^constructor is no text/);
  assert.match(whyOf("{}", fields({ toString: text(10) })) ?? "", /^toString is no text/);
});

test("each check takes what it says and refuses its neighbours, and no message quotes a value", () => {
  const cases: readonly (readonly [Check, readonly unknown[], readonly unknown[]])[] = [
    [whole(), [0, 1, 2 ** 53 - 1], [-1, 0.5, 2 ** 53, 1e300, "1", null, [], true]],
    [whole(9), [9], [10]],
    [time, [0, 8.64e15], [8.64e15 + 2, -1, "0"]],
    [text(3), ["", "abc"], ["abcd", 3, null, {}]],
    [text(9, /^\d+$/), ["12"], ["", "1x"]],
    [flag, [true, false], [0, "true", null]],
    [offsetText, ["0", "9223372036854775807"], ["-1", "9223372036854775808", "1e3", "", 5]],
    [oneOf(["a", "b"]), ["a"], ["c", null, ["a"]]],
    [nullable(flag), [null, true], [0]],
    [listOf(flag, 2), [[], [true, false]], [[1], [true, true, true], { length: 1 }, "ab"]],
    [mapOf(flag, 2, 3), [{}, { a: true }], [{ a: 1 }, { a: true, b: true, c: true }, [true]]],
    [mapOf(flag, 2, 3), [{ constructor: true }].slice(1), [{ long: true }]],
    [fields({ a: flag, b: optional(flag) }), [{ a: true, other: 1 }], [{}, { a: 1 }, [], null]],
  ];
  for (const [check, good, wrong] of cases) {
    for (const one of good) assert.equal(whyOf(JSON.stringify(one), check), null);
    for (const one of wrong) {
      const why = whyOf(JSON.stringify(one), check);
      assert.ok(why !== null, JSON.stringify(one));
      assert.ok(!why.includes("abcd") && !why.includes("1x"), why);
    }
  }
});

test("a wrong field is named by its path", () => {
  const check = fields({ list: listOf(fields({ n: whole() })) });
  assert.match(whyOf({ list: [{ n: 1 }, { n: "x" }] }, check) ?? "", /^list\[1\]\.n is no whole/);
});

test("a text that was checked is read again; any other is an error that says what is wrong", () => {
  assert.deepEqual(parseKnown<object>('{"a":1}', fields({ a: whole() })), { a: 1 });
  assert.throws(() => parseKnown('{"a":"1"}', fields({ a: whole() })), /a is no whole number/);
});

test("a key is shown on one line, without what a terminal obeys, and not long", () => {
  assert.equal(shownKey("gate"), '"gate"');
  assert.equal(shownKey('a"\u001b[2J\n\u202e'), '"a\\"\\u001b[2J\\n\\u202e"');
  assert.ok(shownKey("x".repeat(10_000)).length < 130);
});
