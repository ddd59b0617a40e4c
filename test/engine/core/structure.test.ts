// The structure of a value that anybody may have brought in: its note is one that can be read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { differences, structureOf } from "../../../src/engine/core/structure.ts";
import { wrongNote } from "../../../src/engine/notes/kinds.ts";
import { shapeRecord } from "../../../src/engine/notes/shape-notes.ts";

const nested = (depth: number, name: string): unknown =>
  Array.from({ length: depth }).reduce<unknown>((value) => ({ [name]: value }), 1);

/** Very many paths, each a name of code. */
const wide = (depth: number): unknown =>
  depth === 0
    ? 1
    : Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${String(i)}`, wide(depth - 1)]));

const values: Readonly<Record<string, unknown>> = {
  "very deep": nested(900, "a"),
  "deep, with long names": nested(200, "n".repeat(99)),
  "a name of half a megabyte": { ["k".repeat(500_000)]: wide(1) },
  "a long name above many fields": nested(3, "k".repeat(100_000)),
  "64,000 fields": wide(3),
};

for (const [name, value] of Object.entries(values))
  test(`the note of a structure can be read: ${name}`, () => {
    const structure = structureOf(value);
    const facts = { topic: "t", id: "abcdefgh", code: "0123456789ab", isAccepted: false };
    const { key, value: bytes } = shapeRecord("meta", { ...facts, structure });
    assert.equal(wrongNote(String(key), String(bytes)), null);
    assert.ok((bytes as Buffer).length < 500_000);
    assert.deepEqual(differences(structure, [structure]), []);
  });

test("what is said of an ordinary value is whole", () => {
  assert.deepEqual(structureOf({ id: "x", lines: [{ n: 1 }, { n: null }], "a b": 1 }), {
    "": "object",
    ".*": "array|number|string",
    ".*[]": "object",
    ".*[].n": "null|number",
  });
  assert.deepEqual(structureOf({ id: "x", n: 1 }), {
    "": "object",
    ".id": "string",
    ".n": "number",
  });
});
