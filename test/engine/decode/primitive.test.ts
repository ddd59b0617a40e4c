import assert from "node:assert/strict";
import { test } from "node:test";
import type { Codec, Schema } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { bytes, long, nullable, string } from "../../../src/engine/define/schema.ts";
import { codeOf } from "./avro-support.ts";

const codecOf = <T>(schema: Schema<T>): Codec =>
  compileCodec(schema.format, { schemas: { get: () => undefined }, writerId: null });

test("text is UTF-8, and nothing else", () => {
  const codec = codecOf(string);
  for (const text of ["", "o-1", "ä€😀", "\ufeffmark", "\u0000"])
    assert.equal(codec.decode(codec.encode(text)), text);
  assert.equal(
    codeOf(() => codec.decode(Buffer.from([0xc3]))),
    "MILL_DECODE_TEXT",
  );
  for (const value of ["\ud800", 1, null, undefined])
    assert.equal(
      codeOf(() => codec.encode(value)),
      "MILL_ENCODE_VALUE",
    );
});

test("bytes are copied both ways", () => {
  const codec = codecOf(bytes);
  const fetched = Buffer.from([1, 2, 3]);
  const value = codec.decode(fetched);
  const written = codec.encode(fetched);
  fetched.fill(0);
  assert.deepEqual(value, new Uint8Array([1, 2, 3]));
  assert.deepEqual(written, Buffer.from([1, 2, 3]));
  assert.equal(
    codeOf(() => codec.encode("text")),
    "MILL_ENCODE_VALUE",
  );
});

test("a long is eight bytes, as Kafka's own serializer writes it, and never rounded", () => {
  const codec = codecOf(long);
  assert.equal(codec.encode(258)?.toString("hex"), "0000000000000102");
  for (const n of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])
    assert.equal(codec.decode(codec.encode(n)), n);
  assert.equal(
    codeOf(() => codec.decode(Buffer.alloc(4))),
    "MILL_DECODE_TEXT",
  );
  assert.equal(
    codeOf(() => codec.decode(Buffer.alloc(8, 0x7f))),
    "MILL_DECODE_SCHEMA",
  );
  for (const value of [2 ** 53, 1.5, 1n])
    assert.equal(
      codeOf(() => codec.encode(value)),
      "MILL_ENCODE_VALUE",
    );
});

test("null bytes are a value of a nullable schema only", () => {
  const codec = codecOf(nullable(string));
  assert.equal(codec.decode(null), null);
  assert.equal(codec.encode(null), null);
  assert.equal(codec.decode(codec.encode("x")), "x");
  for (const schema of [string, bytes, long])
    assert.equal(
      codeOf(() => codecOf(schema as Schema<unknown>).decode(null)),
      "MILL_DECODE_EMPTY",
    );
});
