import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import {
  headerNameBytes,
  headerNameLength,
  headerNameOf,
  shownHeaderName,
  writeHeaderName,
} from "../../../src/engine/core/header-name.ts";

const nameOf = (bytes: Buffer): string => headerNameOf(bytes, 0, bytes.length);
const written = (name: string): Buffer => {
  const buffer = Buffer.alloc(headerNameLength(name) + 2);
  assert.equal(writeHeaderName(name, buffer, 1), headerNameLength(name));
  return buffer.subarray(1, -1);
};

test("any bytes come back as they were, also through JSON", () => {
  const bytes = fc.uint8Array({ maxLength: 30 }).map((array) => Buffer.from(array));
  fc.assert(
    fc.property(bytes, (given) => {
      const name = nameOf(given);
      assert.deepEqual(headerNameBytes(name), given);
      assert.deepEqual(written(name), given);
      assert.deepEqual(headerNameBytes(JSON.parse(JSON.stringify(name)) as string), given);
    }),
    { numRuns: 2_000 },
  );
});

test("a name that is UTF-8 is its text, whatever that is", () => {
  for (const text of ["", "trace-id", "größe", "\ufffd", "a\ufffdb", "\u0000", "𝄞", "dlq.id"]) {
    assert.equal(nameOf(Buffer.from(text)), text);
    assert.deepEqual(written(text), Buffer.from(text));
    assert.equal(shownHeaderName(text), text);
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => nameOf(Buffer.from(text)) === text),
  );
});

test("two names of different bytes are never the same", () => {
  const names = new Map<string, string>();
  for (let a = 0; a < 256; a++)
    for (const rest of [[], [0x41], [0x80], [0xbf], [0xff]]) {
      const bytes = Buffer.from([a, ...rest]);
      const name = nameOf(bytes);
      assert.equal(name.isWellFormed(), isUtf8(bytes));
      assert.equal(names.get(name) ?? bytes.toString("hex"), bytes.toString("hex"));
      names.set(name, bytes.toString("hex"));
    }
});

test("for people bytes that are no text stand in hex", () => {
  assert.equal(shownHeaderName(nameOf(Buffer.from([0x61, 0xff, 0x80]))), "a\\xff\\x80");
});

test("a half surrogate of somebody's own text is written as any text is", () => {
  assert.deepEqual(written("a\ud800"), Buffer.from("a\ud800"));
});
