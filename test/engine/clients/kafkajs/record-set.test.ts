// Batches that are none, and batches that become many times what was fetched.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { BatchError, MillraceError } from "../../../../src/engine/core/errors.ts";
import { BatchBounds } from "../../../../src/engine/clients/kafkajs/protocol/records/batch-bounds.ts";
import {
  RecordSet,
  type RecordPiece,
} from "../../../../src/engine/clients/kafkajs/protocol/records/record-set.ts";
import { encodeRecordBatch } from "../../../../src/engine/clients/kafkajs/protocol/records/record-batch-encode.ts";
import type { OutRecord } from "../../../../src/engine/core/record.ts";
import { decodeRecordSet } from "../../../support/record-sets.ts";
import { compressed, dataBatch, sealed } from "./batches.ts";

const MB = 1_048_576;
const origin = { producerId: -1n, epoch: -1, firstSequence: -1, transactionalId: null };
const set = (recordSet: Buffer, fetchedOffset = 0n) => ({
  ...{ topic: "t", partition: 0, fetchedOffset, recordSet, aborted: [] },
});
const record = (value: Buffer | null, headers: OutRecord["headers"] = []): OutRecord => ({
  ...{ topic: "t", partition: 0, key: null, timestamp: 1_700_000_000_000, value, headers },
});

/** What comes of a set, and the error in the end. */
function readAll(recordSet: Buffer, bounds = new BatchBounds(), fetchedOffset = 0n) {
  const reader = new RecordSet(set(recordSet, fetchedOffset), bounds);
  const pieces: RecordPiece[] = [];
  try {
    for (let piece = reader.next(); piece !== null; piece = reader.next()) pieces.push(piece);
  } catch (error) {
    return { pieces, error: error as Error };
  }
  return { pieces, error: null };
}

const offsetsOf = (pieces: readonly RecordPiece[]): bigint[] =>
  pieces.flatMap(({ records }) => records.map(({ offset }) => offset));

function broken(change: (batch: Buffer) => Buffer | void, code: BatchError["code"]): BatchError {
  const batch = dataBatch({ baseOffset: 3n, count: 2, isTransactional: false });
  const bad = sealed(change(batch) ?? batch);
  const good = dataBatch({ baseOffset: 0n, count: 3, isTransactional: false });
  const { pieces, error } = readAll(Buffer.concat([good, bad]));
  assert.ok(error instanceof BatchError, String(error));
  assert.deepEqual([error.code, error.nextOffset], [code, 5n]);
  assert.match(error.message, /t-0, offsets 3 to 4: /);
  assert.deepEqual(offsetsOf(pieces).slice(0, 3), [0n, 1n, 2n]);
  return error;
}

test("records before a batch that cannot be read come first, then the error with the offset behind it", () => {
  broken((batch) => void batch.writeInt16BE(6, 21), "MILL_BATCH_FORMAT");
  broken((batch) => void batch.writeInt16BE(1, 21), "MILL_BATCH_CORRUPT");
  broken((batch) => void batch.writeInt16BE(4, 21), "MILL_BATCH_CORRUPT");
});

test("counts and lengths that do not fit are errors: no loop, and nothing cut in silence", () => {
  for (const count of [-1, 1, 3, 1_000, 2_147_483_647, -2_147_483_648])
    broken((batch) => void batch.writeInt32BE(count, 57), "MILL_BATCH_CORRUPT");
  // The length of a record, of its key, of its value, and the number of its headers: bytes of the first record.
  for (const place of [61, 65, 66, 74])
    for (const byte of [2, 0x7e, 0xfe])
      broken((batch) => void (batch[place] = byte), "MILL_BATCH_CORRUPT");
});

test("a short record with 2,147,483,647 headers is refused at once", () => {
  const body = Buffer.from([0x18, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0]);
  const head = dataBatch({ baseOffset: 0n, count: 1, isTransactional: false }).subarray(0, 61);
  const batch = Buffer.concat([head, body]);
  batch.writeInt32BE(batch.length - 12, 8);
  const { error } = readAll(sealed(batch));
  assert.ok(error instanceof BatchError && error.code === "MILL_BATCH_CORRUPT", String(error));
});

test("a number of more than ten bytes is no number", () => {
  const head = dataBatch({ baseOffset: 0n, count: 1, isTransactional: false }).subarray(0, 61);
  const batch = Buffer.concat([head, Buffer.alloc(5_000, 0xff)]);
  batch.writeInt32BE(batch.length - 12, 8);
  const { error } = readAll(sealed(batch));
  assert.ok(error instanceof BatchError && error.code === "MILL_BATCH_CORRUPT", String(error));
});

test("records whose offsets do not grow, or lie beyond their batch, are none", () => {
  // The offset of the second record.
  const second = (batch: Buffer): number => batch.indexOf("value 0") + 8 + 3;
  for (const byte of [0, 1, 4, 0x40])
    broken((batch) => void (batch[second(batch)] = byte), "MILL_BATCH_CORRUPT");
});

test("a message format before 2 is refused with the offset behind it", () => {
  const old = dataBatch({ baseOffset: 7n, count: 1 });
  old[16] = 1;
  const { error } = readAll(old, new BatchBounds(), 7n);
  assert.ok(error instanceof BatchError);
  assert.deepEqual([error.code, error.nextOffset], ["MILL_BATCH_FORMAT", 8n]);
});

test("a length that is no batch's fails like a checksum: it is asked for again", () => {
  for (const length of [-1, -12, 0, 48, -2_147_483_648]) {
    const batch = dataBatch({ baseOffset: 0n, count: 1 });
    batch.writeInt32BE(length, 8);
    const { error } = readAll(batch);
    assert.ok(error instanceof MillraceError && error.disposition === "retry", String(length));
  }
});

test("any bytes inside a right checksum are records or an error, in bounded time and memory", () => {
  const change = fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 }));
  const codec = fc.constantFrom(0, 1, 2, 3, 4, 5);
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), codec, (changes, attributes) => {
      const records = [record(Buffer.from("v"), [["h", Buffer.from("w")]]), record(null)];
      const batch = encodeRecordBatch(records, origin);
      if (attributes > 0) batch.writeInt16BE(attributes, 21);
      for (const [place, byte] of changes) {
        const index = 57 + (place % (batch.length - 57));
        batch[index] = byte;
      }
      const begun = performance.now();
      const { pieces, error } = readAll(sealed(batch));
      // A loop without an end, and no slow machine.
      assert.ok(performance.now() - begun < 20_000);
      assert.ok(error === null || error instanceof BatchError, String(error));
      if (error === null) assert.equal(offsetsOf(pieces).length, batch.readInt32BE(57));
    }),
    { numRuns: 3_000 },
  );
});

test("a compressed batch beyond the bound names it, its size and its setting", () => {
  const bomb = compressed(1, gzipSync(Buffer.alloc(20 * MB)), { baseOffset: 10n, count: 2 });
  const bounds = new BatchBounds({ bytesMax: 16 * MB, growthMax: 4 });
  const absolute = readAll(bomb, bounds, 10n).error;
  assert.match(
    String(absolute),
    /t-0, offsets 10 to 11: \d+ compressed bytes become more than 16777216 bytes, the bound by MILLRACE_BATCH_BYTES_MAX/,
  );
  bounds.learn("t", MB);
  const grown = readAll(bomb, bounds, 10n).error;
  assert.match(String(grown), /4194304 bytes, the bound by MILLRACE_BATCH_GROWTH_MAX/);
  assert.ok(grown instanceof BatchError && grown.code === "MILL_BATCH_TOO_LARGE");
});

test("a batch larger than its topic takes by now is measured by its own size", () => {
  const bounds = new BatchBounds({ bytesMax: 64 * MB, growthMax: 100 });
  bounds.learn("t", 1_000);
  assert.equal(bounds.of("t", 500).bytesMax, 100_000);
  assert.equal(bounds.of("t", 5_000).bytesMax, 500_000);
  assert.equal(bounds.of("another", 5_000).bytesMax, 64 * MB);
});

const many = (count: number, bytes: number): Buffer =>
  encodeRecordBatch(
    Array.from({ length: count }, (_, i) => record(Buffer.alloc(bytes, i % 251))),
    origin,
  );

test("a large batch comes in pieces, whole and in order, and none of them keeps all of it in memory", () => {
  const raw = many(3_000, 10_000);
  const batch = compressed(1, gzipSync(raw.subarray(61)), { baseOffset: 0n, count: 3_000 });
  const { pieces, error } = readAll(batch);
  assert.equal(error, null);
  assert.ok(pieces.length > 5, String(pieces.length));
  let next = 0n;
  for (const piece of pieces) {
    assert.equal(piece.fetchedOffset, next);
    next = piece.nextOffset;
    assert.ok(piece.byteLength < 5_000_000);
    assert.ok(
      (piece.records[0]?.value?.buffer.byteLength ?? 0) < 6_000_000 || piece === pieces.at(-1),
    );
  }
  assert.equal(next, 3_000n);
  assert.deepEqual(
    offsetsOf(pieces),
    Array.from({ length: 3_000 }, (_, i) => BigInt(i)),
  );
  assert.ok(
    pieces.every(({ records }) =>
      records.every(({ offset, value }) => value?.[9_999] === Number(offset) % 251),
    ),
  );
});

test("very many small records come in pieces too, by the memory that they take as objects", () => {
  const { pieces } = readAll(many(50_000, 1));
  assert.ok(pieces.length >= 5);
  assert.deepEqual(offsetsOf(pieces).length, 50_000);
});

test("a record with more headers than the bound has memory for is refused", () => {
  const headers = Array.from({ length: 20_000 }, () => ["", null] as const);
  const batch = encodeRecordBatch([record(null, headers)], origin);
  const { error } = readAll(batch, new BatchBounds({ bytesMax: 2 * MB, growthMax: 100 }));
  assert.ok(error instanceof BatchError && error.code === "MILL_BATCH_TOO_LARGE", String(error));
  assert.equal(decodeRecordSet(set(batch)).records[0]?.headers.length, 20_000);
});

test("batches that are read side by side take the bound together: the oldest is dropped, and made again", () => {
  const raw = many(1_000, 10_000);
  const batch = compressed(1, gzipSync(raw.subarray(61)), { baseOffset: 0n, count: 1_000 });
  const bounds = new BatchBounds({ bytesMax: 12_000_000, growthMax: 100 });
  const readers = [1, 2, 3].map(() => new RecordSet(set(batch), bounds));
  const found = readers.map((): bigint[] => []);
  for (let round = 0; round < 4; round++)
    for (const [i, reader] of readers.entries()) {
      const piece = reader.next();
      for (const { offset } of piece?.records ?? []) found[i]?.push(offset);
    }
  const all = Array.from({ length: 1_000 }, (_, i) => BigInt(i));
  assert.deepEqual(found, [all, all, all]);
});

test("whatever offsets a head says, what follows lies behind what was read", () => {
  const good = dataBatch({ baseOffset: 5n, count: 3, isTransactional: false });
  const again = dataBatch({ baseOffset: 6n, count: 3, isTransactional: false });
  assert.deepEqual(offsetsOf(readAll(Buffer.concat([good, again])).pieces), [5n, 6n, 7n, 8n]);
  for (const baseOffset of [0n, 2n, -9n]) {
    const bad = dataBatch({ baseOffset, count: 2, isTransactional: false });
    bad.writeInt32BE(9, 57);
    const { pieces, error } = readAll(Buffer.concat([good, sealed(bad)]));
    assert.deepEqual(offsetsOf(pieces), [5n, 6n, 7n]);
    assert.ok(error instanceof BatchError);
    assert.deepEqual([error.code, error.nextOffset], ["MILL_BATCH_CORRUPT", 9n]);
  }
});
