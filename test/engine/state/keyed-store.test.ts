// What a store keeps in memory, what it gives to a checkpoint, and what it takes back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { Codec } from "../../../src/engine/core/schema.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import { keyOf, keysOf, plainCodec, StoreBench } from "../../support/stores.ts";

test("a change is seen at once, and written when its checkpoint was decided", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1, b: 2 }, 77);
  assert.deepEqual(await bench.get("a", "b", "c"), [1, 2, null]);
  assert.deepEqual(bench.store.get(keyOf("a")), { value: 1, timestamp: 77, dueMs: null });
  assert.deepEqual(await bench.inCopy(), { position: 0n, values: {} });
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { a: 1, b: 2 });
  assert.deepEqual(await bench.inCopy(), { position: 2n, values: { a: 1, b: 2 } });
  assert.equal(bench.store.seal(), null);
});

test("of several changes of a key the checkpoint has the last one, also when that deletes", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1, b: 1 });
  await bench.batch({ a: 2 });
  await bench.batch({ b: null });
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { a: 2, b: null });
  assert.deepEqual((await bench.inCopy()).values, { a: 2 });
  assert.deepEqual(await bench.get("a", "b"), [2, null]);
});

test("keys that are in memory are not fetched again", async () => {
  const bench = await StoreBench.open();
  await bench.get("a", "b");
  await bench.get("b", "c");
  assert.deepEqual(bench.counts, { hits: 1, misses: 3 });
});

test("a key that was not loaded is a defect of ours, never an empty state", async () => {
  const bench = await StoreBench.open();
  const isInvariant = (error: unknown): boolean =>
    error instanceof MillraceError && error.code === "MILL_ENGINE_INVARIANT";
  assert.throws(() => bench.store.get(keyOf("a")), isInvariant);
  assert.throws(() => bench.store.set(keyOf("a"), null), isInvariant);
});

test("a key's bytes are its own: the fetch they came with may be used again", async () => {
  const bench = await StoreBench.open();
  const key = keyOf("a");
  await bench.store.load(new Map([[key.id, key]]));
  bench.store.set(key, { value: 1, timestamp: 0, dueMs: null });
  key.bytes.fill("x");
  bench.stores.endBatch();
  assert.deepEqual(bench.changesOf(bench.store.seal()), { a: 1 });
});

test("a rollback takes back every change since its mark, newest first", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1 });
  await bench.work({ a: 2, b: 2 });
  const mark = bench.stores.mark();
  await bench.work({ a: 3, b: null, c: 3 });
  await bench.work({ a: 4 });
  bench.stores.rollback(mark);
  assert.deepEqual(
    ["a", "b", "c"].map((key) => bench.store.get(keyOf(key))?.value ?? null),
    [2, 2, null],
  );
  bench.stores.rollback(0);
  bench.stores.endBatch();
  assert.deepEqual(await bench.get("a", "b", "c"), [1, null, null]);
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { a: 1 });
});

test("a checkpoint in the middle of a batch takes what finished batches have changed, and nothing of the batch in hand", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1, b: 1, c: 1 });
  await bench.work({ a: 2, d: 2 });
  await bench.work({ a: 3, c: null });
  const first = bench.store.seal();
  assert.deepEqual(bench.changesOf(first), { a: 1, b: 1, c: 1 });
  bench.stores.endBatch();
  assert.deepEqual(bench.changesOf(bench.store.seal()), { a: 3, d: 2, c: null });
});

test("two checkpoints in the middle of one batch, and its change still comes with the third", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ b: 1 });
  await bench.work({ a: 1 });
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { b: 1 });
  assert.equal(await bench.checkpoint(), null);
  bench.stores.endBatch();
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { a: 1 });
});

test("a batch that is taken back behind a checkpoint leaves what that checkpoint has", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1 });
  await bench.work({ a: 2, b: 2 });
  const sealed = bench.store.seal();
  assert.ok(sealed);
  const offsets = bench.decide(sealed);
  bench.stores.rollback(0);
  bench.stores.endBatch();
  await bench.store.settle(sealed, offsets, 0);
  assert.deepEqual(await bench.get("a", "b"), [1, null]);
  assert.equal(bench.store.seal(), null);
  await bench.batch({ a: 3 });
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { a: 3 });
});

test("a batch that is taken back behind a checkpoint that the copy has leaves nothing that must stay in memory", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ a: 1 });
  await bench.work({ a: 2 });
  await bench.checkpoint();
  bench.stores.rollback(0);
  bench.stores.endBatch();
  for (const key of ["x", "y", "z"]) await bench.get(key);
  bench.counts.misses = 0;
  assert.deepEqual(await bench.get("a"), [1]);
  assert.equal(bench.counts.misses, 1);
});

test("an entry that cannot be written is refused where it is set, and changes nothing", async () => {
  const bench = await StoreBench.open({ changeBytesMax: 100 });
  await bench.batch({ a: 1 });
  await bench.work({ a: 2 });
  const set = (value: unknown) => () =>
    bench.store.set(keyOf("a"), { value, timestamp: 0, dueMs: null });
  const hasCode = (code: string) => (error: unknown) =>
    error instanceof MillraceError && error.code === code && error.disposition === "dead-letter";
  assert.throws(set(new Map()), hasCode("MILL_ENCODE_VALUE"));
  assert.throws(set("x".repeat(89)), hasCode("MILL_RECORD_TOO_LARGE"));
  assert.doesNotThrow(set("x".repeat(88)));
  bench.stores.rollback(1);
  bench.stores.endBatch();
  assert.deepEqual(bench.changesOf(await bench.checkpoint()), { a: 2 });
});

test("a value whose schema is unknown is learnt before it is decoded, and read again", async () => {
  const known = new Set<number>();
  const codec: Codec = {
    ...plainCodec,
    unknownId: (bytes) => (known.has(bytes?.[0] ?? 0) ? null : (bytes?.[0] ?? 0)),
  };
  const learnt: number[] = [];
  const entries = entryCodec(codec, "s");
  const bench = await StoreBench.open({
    codec: entries,
    learn: (values) => {
      const ids = values.map((value) => entries.unknownId(value) as number);
      learnt.push(...ids);
      for (const id of ids) known.add(id);
      return Promise.resolve();
    },
  });
  const stored = (key: string, value: unknown, offset: bigint) => {
    const bytes = entries.encode({ value, timestamp: 0, dueMs: null });
    bench.changelog.push({ key: Buffer.from(key), value: bytes, dueMs: null, offset });
  };
  stored("a", 1, 0n);
  stored("b", 2, 1n);
  bench.end = 2n;
  await bench.store.repair();
  assert.deepEqual(await bench.get("a", "none", "b"), [1, null, 2]);
  assert.deepEqual(learnt, ["1".charCodeAt(0), "2".charCodeAt(0)]);
});

const long = "x".repeat(100);

test("what is in memory stays within its bound, and what went comes back from the copy", async () => {
  const bench = await StoreBench.open({ cacheBytes: 5_000 });
  for (let i = 0; i < 200; i++) {
    await bench.batch({ [`key-${String(i)}`]: `${String(i)}${long}` });
    await bench.checkpoint();
  }
  bench.counts.hits = 0;
  bench.counts.misses = 0;
  for (let i = 199; i >= 0; i--)
    assert.deepEqual(await bench.get(`key-${String(i)}`), [`${String(i)}${long}`]);
  assert.ok(bench.counts.hits > 5, `hits ${String(bench.counts.hits)}`);
  assert.ok(bench.counts.hits < 20, `hits ${String(bench.counts.hits)}`);
});

test("a value that grows counts with its new size", async () => {
  const bench = await StoreBench.open({ cacheBytes: 10_000 });
  for (const size of [10, 4_000]) {
    for (const key of ["a", "b", "c", "d", "e"]) await bench.batch({ [key]: "x".repeat(size) });
    await bench.checkpoint();
  }
  bench.counts.hits = 0;
  for (const key of ["z", "y"]) await bench.get(key);
  await bench.get("a", "b", "c", "d", "e");
  assert.ok(bench.counts.hits <= 2, `hits ${String(bench.counts.hits)}`);
});

test("changes that the copy lacks stay in memory, whatever the bound", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  for (let i = 0; i < 20; i++) await bench.batch({ [`filling-${String(i)}`]: i });
  const sealed = bench.store.seal();
  assert.ok(sealed);
  const offsets = bench.decide(sealed);
  for (let i = 0; i < 20; i++) await bench.batch({ [`next-${String(i)}`]: i });
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(await bench.get(`filling-${String(i)}`), [i]);
    assert.deepEqual(await bench.get(`next-${String(i)}`), [i]);
  }
  await bench.store.settle(sealed, offsets, 0);
  for (let i = 0; i < 20; i++) assert.deepEqual(await bench.get(`next-${String(i)}`), [i]);
  await bench.checkpoint();
  assert.equal(Object.keys((await bench.inCopy()).values).length, 40);
});

test("keys of the batch in hand stay in memory although checkpoints make room meanwhile", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ old: 1 });
  await bench.checkpoint();
  await bench.get("kept");
  await bench.batch({ other: 1 });
  const read = Promise.withResolvers<void>();
  const loading = bench.store.load(keysOf("kept", "other", "old", "fresh"));
  bench.copies.onCall = (call) => (call === "read" ? read.promise : undefined);
  const again = bench.store.load(keysOf("kept", "other", "old", "fresh", "more"));
  await loading;
  for (let i = 0; i < 3; i++) {
    bench.store.trim();
    await bench.checkpoint();
  }
  read.resolve();
  await again;
  bench.store.trim();
  bench.store.trim();
  for (const key of ["kept", "other", "old", "fresh", "more"]) bench.store.get(keyOf(key));
  bench.stores.endBatch();
});

test("what was asked for since the last look for room outlives what was not", async () => {
  const bench = await StoreBench.open({ cacheBytes: 260 * 4 });
  for (const key of ["a", "b", "c", "d"]) await bench.get(key);
  await bench.get("e");
  for (const key of ["x", "y", "z"]) {
    await bench.get("a");
    await bench.get(key);
  }
  bench.counts.misses = 0;
  await bench.get("a");
  assert.equal(bench.counts.misses, 0);
});
