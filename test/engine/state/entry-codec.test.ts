import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal } from "#engine";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { Codec } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { entryCodec, isDeleted } from "../../../src/engine/state/entry-codec.ts";

const json = compileCodec({ kind: "tagged-json" }, { schemas: new Map(), writerId: null });
const codec = entryCodec(json, "totals");

const isFormat = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === "MILL_STATE_FORMAT";

test("an entry comes back as it was, whatever its time", () => {
  const edges = [0, 1, -1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, -(2 ** 32), -(2 ** 32) - 1];
  const ends = [8.64e15, -8.64e15, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
  for (const timestamp of [...edges, ...ends, Date.UTC(2026, 0, 1)]) {
    const entry = { value: { total: decimal("12.30") }, timestamp };
    assert.deepEqual(codec.decode(codec.encode(entry)), entry, String(timestamp));
  }
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.jsonValue(), (timestamp, value) => {
      // JSON itself has no -0: what matters here is that value and time are not mixed up.
      const entry = { value: JSON.parse(JSON.stringify(value)) as unknown, timestamp };
      assert.deepEqual(codec.decode(codec.encode(entry)), entry);
    }),
  );
});

test("the bytes are a 1, eight bytes of time and the value, as docs/state.md tells other readers", () => {
  const bytes = codec.encode({ value: 7, timestamp: 1_700_000_000_123 });
  assert.equal(bytes[0], 1);
  assert.equal(bytes.readBigInt64BE(1), 1_700_000_000_123n);
  assert.equal(bytes.subarray(9).toString(), "7");
});

test("a deleted key is a 2 and eight bytes of time, whatever its store's values are", () => {
  const bytes = codec.encode({ value: null, timestamp: 1_700_000_000_123 });
  assert.deepEqual([bytes.length, bytes[0], isDeleted(bytes)], [9, 2, true]);
  assert.deepEqual(codec.decode(bytes), { value: null, timestamp: 1_700_000_000_123 });
  assert.equal(codec.timeOf(bytes), 1_700_000_000_123);
  assert.equal(codec.unknownId(bytes), null);
  assert.equal(codec.bytesMax({ value: null, timestamp: 0 }), 9);
  assert.equal(isDeleted(codec.encode({ value: 7, timestamp: 0 })), false);
});

test("bytes of another layout, or of none, are refused", () => {
  const other = codec.encode({ value: 7, timestamp: 0 });
  other[0] = 2;
  assert.throws(() => codec.decode(other), isFormat);
  assert.throws(() => codec.decode(Buffer.alloc(0)), isFormat);
  assert.throws(() => codec.decode(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0])), isFormat);
});

test("what the value's codec refuses is not written", () => {
  const isUnwritable = (error: unknown): boolean =>
    error instanceof MillraceError && error.code === "MILL_ENCODE_VALUE";
  assert.throws(() => codec.encode({ value: new Map(), timestamp: 0 }), isUnwritable);
  const none = compileCodec(
    { kind: "nullable", of: { kind: "string" } },
    { schemas: new Map(), writerId: null },
  );
  // The codec of a store whose value has no bytes.
  const wordless: Codec = { ...none, encode: () => null };
  assert.throws(() => entryCodec(wordless, "totals").encode({ value: 1, timestamp: 0 }), isFormat);
});

test("a schema id is looked for in the value, behind the time", () => {
  const seen: Buffer[] = [];
  const probe: Codec = {
    encode: () => Buffer.from("value"),
    decode: (bytes) => String(bytes),
    unknownId: (bytes) => seen.push(bytes as Buffer) + 41,
  };
  const bytes = entryCodec(probe, "totals").encode({ value: "", timestamp: 0 });
  assert.equal(entryCodec(probe, "totals").unknownId(bytes), 42);
  assert.deepEqual(seen.map(String), ["value"]);
});
