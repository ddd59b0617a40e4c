import assert from "node:assert/strict";
import { test } from "node:test";
import { DecodeError } from "../../../src/engine/core/errors.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";

const codec = compileCodec(
  { kind: "windows", of: { kind: "json", validator: null } },
  { schemas: { get: () => undefined }, writerId: null },
);
const bytesOf = (value: unknown): Buffer => codec.encode(value) ?? assert.fail("no bytes");

const stored = {
  "a count window": [1, 2, 3, [4, 5]],
  sessions: [
    [1, 2, { a: 1 }],
    [3, 4, null],
  ],
  "no sessions": [],
  "sessions that made room": { evicted: 7, sessions: [[1, 2, "x"]] },
  slides: { closed: null, slides: [[1, 2, [[3, 4, 5]]]] },
  "a pane": [
    [0, "a"],
    [5, "b"],
  ],
  "the panes of a key": { of: [10, 5], closed: 3, ranges: [[1, 2, 0]] },
};

for (const [what, value] of Object.entries(stored)) {
  test(`${what}: aggregates go into bytes and come back`, () => {
    const before = structuredClone(value);
    assert.deepEqual(codec.decode(bytesOf(value)), value);
    assert.deepEqual(value, before);
  });

  test(`${what}: bytes that are cut off, or are too many, are refused`, () => {
    const bytes = bytesOf(value);
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => codec.decode(bytes.subarray(0, length)), DecodeError);
    const more = Buffer.concat([bytes, Buffer.of(0, 0, 0, 1, 0x31)]);
    assert.throws(() => codec.decode(more), /an aggregate without times/);
  });
}

test("an entry from before, in JSON alone, is refused and not taken for one by a schema", () => {
  assert.throws(() => codec.decode(Buffer.from("[[1,2,3]]")), DecodeError);
  assert.equal(codec.unknownId(Buffer.from("[[1,2,3]]")), null);
});
