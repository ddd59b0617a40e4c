import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import { decimal } from "../../../src/engine/core/decimal.ts";
import type { Codec, Schema } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { json } from "../../../src/engine/define/schema.ts";
import { codeOf, messageFrom, outcomeOf } from "./avro-support.ts";

const codecOf = <T>(schema: Schema<T>): Codec =>
  compileCodec(schema.format, { schemas: { get: () => undefined }, writerId: null });
const codec = codecOf(json());
const read = (text: string | Buffer): unknown => codec.decode(Buffer.from(text));

test("any JSON value comes back as it was, or is refused when it is written", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const asJson = JSON.parse(JSON.stringify(value)) as unknown;
      const isWritable = codeOf(() => codec.encode(value)) === "nothing was thrown";
      if (isWritable) assert.deepEqual(codec.decode(codec.encode(value)), asJson);
      else assert.match(JSON.stringify(value), /\d{16}|__proto__/);
    }),
    { numRuns: 1000 },
  );
});

test("each poison pill is refused with the code of JSON", () => {
  const pills: Record<string, string | Buffer> = {
    "no JSON": "{",
    "trailing bytes": "{} x",
    "a byte order mark": "\ufeff{}",
    "no UTF-8": Buffer.from([0x22, 0xff, 0x22]),
    NaN: "NaN",
    "too large for a double": "[1e400]",
    "too large, negative": '{"a":-1E+999}',
    "too many digits for a double": `${"9".repeat(400)}`,
    "2^53": "9007199254740992",
    "a long id": '{"id":12345678901234567890}',
    "deep arrays": "[".repeat(100_000) + "]".repeat(100_000),
    "deep objects": '{"a":'.repeat(300) + "1" + "}".repeat(300),
    "a prototype": '{"a":{"__proto__":{"isAdmin":true}}}',
    "a prototype, escaped": '{"\\u005f_proto__":{"isAdmin":true}}',
    "half a surrogate pair": '["\\ud83d"]',
    "half a surrogate pair in a key": '{"\\uDE00":1}',
  };
  for (const [name, text] of Object.entries(pills))
    assert.equal(
      codeOf(() => read(text)),
      "MILL_DECODE_JSON",
      name,
    );
  assert.equal(
    codeOf(() => read("")),
    "MILL_DECODE_EMPTY",
  );
  assert.equal(
    codeOf(() => codec.decode(null)),
    "MILL_DECODE_EMPTY",
  );
  assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
});

test("what only looks dangerous passes", () => {
  const harmless = [
    '"12345678901234567890 and \\\\ __proto__"',
    '{"text":"[[[[{{{{","n":9007199254740991,"small":1e-400,"x":1e300}',
    '["\\ud83d\\ude00","\\u005f","\\"",0.1234567890123456789]',
    "[".repeat(256) + "]".repeat(256),
    '{"uuid":"3e500000-1e40-4e99","a":1,"a":2}',
  ];
  for (const text of harmless) assert.deepEqual(read(text), JSON.parse(text));
});

test("any bytes at all give a value or a DecodeError", () => {
  const text = fc.string({ unit: fc.constantFrom(...'{}[]":,\\u0_eE19.- protn') });
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void outcomeOf(codec, Buffer.from(bytes))));
  fc.assert(
    fc.property(text, (t) => void outcomeOf(codec, Buffer.from(t))),
    { numRuns: 2000 },
  );
});

test("the validator has the last word, and its refusal names fields but no values", () => {
  const click = codecOf(json(z.object({ page: z.string(), at: z.object({ ms: z.int() }) })));
  assert.deepEqual(click.decode(Buffer.from('{"page":"/","at":{"ms":5}}')), {
    page: "/",
    at: { ms: 5 },
  });
  const attempt = () => click.decode(Buffer.from('{"page":"/secret","at":{"ms":"secret"}}'));
  assert.equal(codeOf(attempt), "MILL_DECODE_JSON");
  assert.equal(messageFrom(attempt), "the bytes are not valid JSON of this topic: at.ms");
});

test("a validator that throws or answers later does no harm", () => {
  const standard = (validate: (value: unknown) => never) =>
    codecOf(json({ "~standard": { version: 1, validate } }));
  const throwing = standard(() => {
    throw new Error("secret");
  });
  assert.equal(
    messageFrom(() => throwing.decode(Buffer.from("1"))),
    "the bytes are not valid JSON of this topic: the topic's validator refused it",
  );
  const later = standard((() => Promise.resolve({ value: 1 })) as never);
  assert.equal(
    codeOf(() => later.decode(Buffer.from("1"))),
    "MILL_BUILD_OPTION",
  );
});

test("what JSON cannot say is refused when written", () => {
  const itself: { me?: unknown } = {};
  itself.me = itself;
  for (const value of [undefined, 1n, { a: NaN }, [Infinity], itself, () => 1, 2 ** 53, "\ud800"])
    assert.equal(
      codeOf(() => codec.encode(value)),
      "MILL_ENCODE_VALUE",
    );
  assert.equal(codec.encode({ a: decimal("1.50"), b: null })?.toString(), '{"a":"1.5","b":null}');
});

test("a whole number that would be rounded is refused however it is written", () => {
  const rounded = [
    "9007199254740993",
    "9007199254740993.0",
    "9007199254740993.000",
    "9007199254740993e0",
    "9007199254740993E+00",
    "90071992547409930e-1",
    "9.007199254740993e15",
    "900719925474099.3e1",
    "0.9007199254740993e16",
    "1.0000000000000001e16",
    "12345678901234567890.0",
    "41634377083394430.0",
    "41634377083394430000e-3",
    "123456789012345678e3",
    "9007199254740992",
    "10000000000000000",
  ];
  for (const text of rounded)
    for (const number of [text, `-${text}`]) {
      const message = messageFrom(() => read(`{"n": ${number}}`));
      assert.match(
        message,
        /valid JSON of this topic: a whole number is beyond ±\(2\^53−1\)$/,
        text,
      );
    }
});

test("a number that comes back as it was written, and a fraction, are fine", () => {
  const fine = [
    "0.1",
    "0.1e1",
    "-0.0",
    "0e999",
    "0.000e-400",
    "9007199254740991",
    "9007199254740991.0",
    "-9007199254740991e0",
    "90071992547409910e-1",
    "1e16",
    "1E+21",
    "6.02214076e23",
    "4.163437708339443e16",
    "9.007199254740994e15",
    "9007199254740994.0",
    "1.7976931348623157e308",
    "9007199254740993.5",
    "0.30000000000000004",
    "3.141592653589793238462643",
    "9007199254740993e-16",
    "1e-400",
  ];
  for (const text of fine) assert.deepEqual(read(`[${text}]`), [Number(text)], text);
});

test("whole numbers: what is taken is what was written, to the last digit", () => {
  const parts = fc.record({
    digits: fc.bigInt({ min: 1n, max: 10n ** 20n }),
    zeros: fc.integer({ min: 0, max: 6 }),
    shift: fc.integer({ min: 0, max: 6 }),
  });
  fc.assert(
    fc.property(parts, ({ digits, zeros, shift }) => {
      // The same whole number with zeros behind the point, or with its zeros in the exponent.
      const scaled = `${String(digits)}${"0".repeat(shift)}e-${String(shift)}`;
      for (const text of [`${String(digits)}.${"0".repeat(zeros)}0`, scaled]) {
        const isTaken = codeOf(() => read(text)) === "nothing was thrown";
        assert.equal(isTaken, BigInt(Number(digits)) === digits, text);
      }
    }),
    { numRuns: 2_000 },
  );
});
