// The buffers of a stream join: a record writes a bounded chunk anew, however many there are of its key.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferedRecord, type BufferChunk } from "../../../src/engine/core/join-buffer.ts";
import type { CarriedFormat } from "../../../src/engine/core/schema.ts";
import type { StateEntry, StateKey, StoreView } from "../../../src/engine/core/state.ts";
import { compileCodec } from "../../../src/engine/decode/codec.ts";
import {
  append,
  bucketOf,
  chunkKey,
  entryOf,
  partnersIn,
  startsBetween,
  widthOf,
  type JoinBucket,
  type SideRules,
} from "../../../src/engine/transform/joins/buckets.ts";

const rules: SideRules = { side: 0, isOuter: true, beforeMs: 20, afterMs: 979, graceMs: 5 };
const bucket: JoinBucket = { side: 0, startMs: 3_000, key: Buffer.from("k") };

class OneView implements StoreView {
  readonly entries = new Map<string, StateEntry | null>();
  largest = 0;
  written = 0;

  get({ id }: StateKey): StateEntry | null {
    return this.entries.get(id) ?? null;
  }
  add({ id }: StateKey): void {
    assert.ok(!this.entries.has(id), "it is there already");
  }
  set({ id }: StateKey, entry: StateEntry | null): void {
    this.entries.set(id, entry);
    const { records } = (entry?.value ?? { records: [] }) as Pick<BufferChunk, "records">;
    this.largest = Math.max(this.largest, records.length);
    this.written += records.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }
}

const record = (timeMs: number, size = 10): BufferedRecord =>
  new BufferedRecord({ timeMs, originMs: timeMs + 3 }, false, timeMs, Buffer.alloc(size));

test("a record of a hot key writes no more than a chunk and the first one anew", () => {
  const view = new OneView();
  for (let i = 0; i < 10_000; i++) append(view, rules, bucket, record(3_000 + (i % 1_000)));
  assert.equal(view.largest, 32);
  // Half a chunk on average, and the first one with each new chunk.
  assert.ok(view.written / 10_000 < 20 * 10, String(view.written));
  const all = partnersIn(view, rules, bucket, { fromMs: 3_000, toMs: 3_999 });
  assert.equal(all.length, 10_000);
  const some = partnersIn(view, rules, bucket, { fromMs: 3_010, toMs: 3_011 });
  assert.equal(some.length, 20);
});

test("chunks are bounded in bytes too; a larger record has one of its own", () => {
  const view = new OneView();
  for (const size of [60_000, 6_000, 200_000, 10]) append(view, rules, bucket, record(3_000, size));
  const sizes = [...view.entries.values()].map((entry) =>
    (entry?.value as BufferChunk).records.map(({ bytes }) => bytes.length),
  );
  assert.deepEqual(sizes, [[60_000], [6_000], [200_000], [10]]);
});

test("the partners of a record lie in at most two buckets", () => {
  for (const [beforeMs, afterMs] of [
    [0, 0],
    [0, 7],
    [7, 0],
    [3, 4],
  ] as const) {
    const width = widthOf({ beforeMs, afterMs });
    for (let timeMs = 0; timeMs < 50; timeMs++) {
      const starts = [...startsBetween(width, timeMs - beforeMs, timeMs + afterMs)];
      assert.ok(starts.length === 1 || starts.length === 2);
      for (let at = Math.max(0, timeMs - beforeMs); at <= timeMs + afterMs; at++)
        assert.ok(starts.some((start) => at >= start && at < start + width));
    }
  }
});

test("a chunk's key says its bucket, and keys are in the order of time", () => {
  assert.deepEqual(bucketOf(chunkKey(bucket, 7)), bucket);
  const keys = [
    chunkKey({ ...bucket, startMs: 1_000, key: Buffer.from("z") }, 9),
    chunkKey({ ...bucket, side: 1, startMs: 1_000 }, 0),
    chunkKey(bucket, 0),
    chunkKey(bucket, 1),
  ].map(({ id }) => id);
  assert.deepEqual(keys.toSorted(), keys);
});

test("a chunk is due with the first record that is emitted alone, else with the end of its bucket", () => {
  const dueOf = (side: SideRules, records: readonly BufferedRecord[]): number | null =>
    entryOf(side, bucket, { side: "left", chunks: 1, records }).dueMs;
  assert.equal(dueOf(rules, [record(3_500), record(3_100)]), 3_100 + 979 + 5);
  assert.equal(dueOf(rules, [record(3_500), record(3_100).matched()]), 3_500 + 979 + 5);
  assert.equal(dueOf(rules, [record(3_100).matched()]), 3_999 + 979 + 5);
  assert.equal(dueOf({ ...rules, isOuter: false }, [record(3_100)]), 3_999 + 979 + 5);
});

test("a chunk is read as it was written, each side in its own format", () => {
  const side = (name: string): CarriedFormat => ({
    ...{ kind: "carried", writes: "as-they-came", declared: null, shapes: name },
    origins: [{ topic: name, format: { kind: "json", validator: null } }],
  });
  const codec = compileCodec(
    { kind: "join-buffer", sides: [side("a"), side("b")], widthMs: 1_000 },
    { schemas: { get: () => undefined }, writerId: null },
  );
  const json = Buffer.from('{"id":"1"}');
  const kept = new BufferedRecord({ timeMs: 3, originMs: 9 }, true, { id: "1" }, json);
  const chunk: BufferChunk = { side: "right", chunks: 4, records: [kept, kept] };
  const bytes = codec.encode(chunk) as Buffer;
  assert.equal(bytes.length, codec.bytesMax?.(chunk));
  assert.deepEqual(codec.decode(bytes), chunk);
  const [again] = (codec.decode(bytes) as BufferChunk).records;
  assert.deepEqual(again?.bytes, json);
  for (let length = 0; length < bytes.length; length++)
    if (length !== 5 && length !== 5 + 21 + json.length)
      assert.throws(() => codec.decode(bytes.subarray(0, length)), { code: /MILL_DECODE_/ });
  assert.equal(codec.unknownId(bytes.subarray(0, 9)), null);
});
