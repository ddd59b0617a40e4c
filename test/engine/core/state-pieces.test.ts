import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PIECE_BYTES_MAX, PIECE_CHANGES_MAX } from "../../../src/engine/core/state.ts";
import { inPieces } from "../../../src/engine/core/state-pieces.ts";

const change = (bytes: number, key = 1) => ({ key: Buffer.alloc(key), value: Buffer.alloc(bytes) });
const sizes = (counts: readonly { key: Buffer; value: Buffer | null }[]): number[] =>
  [...inPieces(counts)].map((piece) => piece.length);

test("nothing is one empty piece, since a copy must still be moved", () => {
  assert.deepEqual([...inPieces([])], [[]]);
});

test("a piece holds no more changes than a copy takes", () => {
  const many = (count: number) => Array.from({ length: count }, () => change(1));
  assert.deepEqual(sizes(many(PIECE_CHANGES_MAX)), [PIECE_CHANGES_MAX]);
  assert.deepEqual(sizes(many(PIECE_CHANGES_MAX + 1)), [PIECE_CHANGES_MAX, 1]);
});

test("a piece is bounded in bytes of keys and values, but for one change that is larger alone", () => {
  const half = PIECE_BYTES_MAX / 2;
  assert.deepEqual(sizes([change(half - 1), change(half - 1)]), [2]);
  assert.deepEqual(sizes([change(half - 1), change(half)]), [1, 1]);
  assert.deepEqual(sizes([change(1, half), change(1, half)]), [1, 1]);
  assert.deepEqual(sizes([change(1), change(PIECE_BYTES_MAX), change(1)]), [1, 1, 1]);
  const deletion = { key: Buffer.alloc(1), value: null };
  assert.deepEqual(sizes([change(half), deletion, deletion]), [3]);
});

test("every change is in one piece, in order", () => {
  const lengths = fc.array(fc.constantFrom(1, 1_000_000, PIECE_BYTES_MAX), { maxLength: 30 });
  fc.assert(
    fc.property(lengths, (all) => {
      const changes = all.map((length) => ({ key: Buffer.alloc(1), value: { length } as Buffer }));
      const pieces = [...inPieces(changes)];
      assert.deepEqual(pieces.flat(), changes);
      assert.ok(pieces.every((piece) => piece.length > 0 || changes.length === 0));
    }),
  );
});
