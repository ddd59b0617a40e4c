import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decimal } from "#engine";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { Codec } from "../../../src/engine/core/schema.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";

const json = compileCodec({ kind: "tagged-json" }, { schemas: new Map(), writerId: null });
const codec = entryCodec(json, "totals");

const isFormat = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === "MILL_STATE_FORMAT";

const KEY = Buffer.from("k");
const AT = 1_700_000_000_123;

test("an entry comes back as it was, whatever its time and its due", () => {
  const edges = [0, 1, -1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, -(2 ** 32), -(2 ** 32) - 1];
  const ends = [8.64e15, -8.64e15, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
  const all = [...edges, ...ends, Date.UTC(2026, 0, 1)];
  for (const timestamp of all)
    for (const dueMs of [null, ...all])
      for (const value of [{ total: decimal("12.30") }, null]) {
        const entry = { value, timestamp, dueMs };
        assert.deepEqual(codec.decode(KEY, codec.encode(entry)), entry, String(timestamp));
        assert.equal(codec.dueOf(KEY, codec.encode(entry)), dueMs);
      }
  fc.assert(
    fc.property(
      fc.maxSafeInteger(),
      fc.option(fc.maxSafeInteger()),
      fc.jsonValue(),
      (timestamp, dueMs, value) => {
        // JSON itself has no -0: what matters here is that value and times are not mixed up.
        const entry = { value: JSON.parse(JSON.stringify(value)) as unknown, timestamp, dueMs };
        const bytes = codec.encode(entry);
        assert.deepEqual(codec.decode(KEY, bytes), entry);
        assert.equal((codec.bytesMax(entry) ?? Infinity) >= bytes.length, true);
      },
    ),
  );
});

test("the bytes are a 1, eight bytes of time and the value, as docs/state.md tells other readers", () => {
  const bytes = codec.encode({ value: 7, timestamp: AT, dueMs: null });
  assert.equal(bytes[0], 1);
  assert.equal(bytes.readBigInt64BE(1), BigInt(AT));
  assert.equal(bytes.subarray(9).toString(), "7");
});

test("of an entry that is due they are a 3, eight bytes of time, eight of the due and the value", () => {
  const bytes = codec.encode({ value: 7, timestamp: AT, dueMs: AT + 5 });
  assert.equal(bytes[0], 3);
  assert.equal(bytes.readBigInt64BE(1), BigInt(AT));
  assert.equal(bytes.readBigInt64BE(9), BigInt(AT + 5));
  assert.equal(bytes.subarray(17).toString(), "7");
});

test("a deleted key is a 2 and its time, or a 4, its time and its due, whatever its store's values are", () => {
  const kept = codec.encode({ value: null, timestamp: AT, dueMs: null });
  assert.deepEqual([kept.length, kept[0], kept.readBigInt64BE(1)], [9, 2, BigInt(AT)]);
  const due = codec.encode({ value: null, timestamp: AT, dueMs: AT + 5 });
  assert.deepEqual([due.length, due[0], due.readBigInt64BE(9)], [17, 4, BigInt(AT + 5)]);
  for (const bytes of [kept, due]) assert.equal(codec.unknownId(bytes), null);
  assert.equal(codec.bytesMax({ value: null, timestamp: 0, dueMs: null }), 9);
  assert.equal(codec.bytesMax({ value: null, timestamp: 0, dueMs: 1 }), 17);
});

test("an entry of 0.1.0 has the due that its operator declares, and is written as it was", () => {
  const declared = entryCodec(json, "totals", {
    dueOfUndated: (key, { timestamp, isDeleted, value }) =>
      isDeleted ? timestamp + 1_000 : key[0] === 0x6b ? (value() as { at: number }).at : null,
  });
  // Bytes that 0.1.0 has written.
  const value = Buffer.from("010000018bcfe5687b7b226174223a37377d", "hex");
  const deleted = Buffer.from("020000018bcfe5687b", "hex");
  assert.deepEqual(declared.decode(KEY, value), { value: { at: 77 }, timestamp: AT, dueMs: 77 });
  assert.equal(declared.dueOf(KEY, value), 77);
  assert.equal(declared.dueOf(Buffer.from("r"), value), null);
  assert.equal(declared.dueOf(KEY, deleted), AT + 1_000);
  assert.deepEqual(declared.encode({ value: { at: 77 }, timestamp: AT, dueMs: null }), value);
  assert.deepEqual(declared.encode({ value: null, timestamp: AT, dueMs: null }), deleted);
});

test("bytes of another layout, or of none, are refused", () => {
  const other = codec.encode({ value: 7, timestamp: 0, dueMs: null });
  const layouts = [2, 3, 4, 5];
  const wrongs = [Buffer.alloc(0), Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(17, 3)];
  for (const layout of layouts) {
    other[0] = layout;
    assert.throws(() => codec.decode(KEY, other), isFormat);
    assert.throws(() => codec.dueOf(KEY, other), isFormat);
  }
  for (const bytes of wrongs) assert.throws(() => codec.decode(KEY, bytes), isFormat);
});

test("what the value's codec refuses is not written", () => {
  const isUnwritable = (error: unknown): boolean =>
    error instanceof MillraceError && error.code === "MILL_ENCODE_VALUE";
  assert.throws(() => codec.encode({ value: new Map(), timestamp: 0, dueMs: null }), isUnwritable);
  const none = compileCodec(
    { kind: "nullable", of: { kind: "string" } },
    { schemas: new Map(), writerId: null },
  );
  // The codec of a store whose value has no bytes.
  const wordless: Codec = { ...none, encode: () => null };
  assert.throws(
    () => entryCodec(wordless, "totals").encode({ value: 1, timestamp: 0, dueMs: null }),
    isFormat,
  );
});

test("a schema id is looked for in the value, behind the time", () => {
  const seen: Buffer[] = [];
  const probe: Codec = {
    encode: () => Buffer.from("value"),
    decode: (bytes) => String(bytes),
    unknownId: (bytes) => seen.push(bytes as Buffer) + 41,
  };
  const bytes = entryCodec(probe, "totals").encode({ value: "", timestamp: 0, dueMs: null });
  assert.equal(entryCodec(probe, "totals").unknownId(bytes), 42);
  assert.deepEqual(seen.map(String), ["value"]);
});
