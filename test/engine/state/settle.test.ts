// A store and its copy: who is where, what a lost answer does, and that what is read is what this task had applied.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { PIECE_CHANGES_MAX } from "../../../src/engine/core/state.ts";
import type { Sealed } from "../../../src/engine/state/cell.ts";
import { keysOf, StoreBench } from "../../support/stores.ts";

const isAway = (error: unknown): boolean =>
  error instanceof MillraceError && error.disposition === "retry";

/** Enough changes for three pieces. */
const many = (value: unknown): Record<string, unknown> =>
  Object.fromEntries(
    Array.from({ length: 2 * PIECE_CHANGES_MAX + 10 }, (_, i) => [`key-${String(i)}`, value]),
  );

/** A sealed checkpoint that Kafka has decided, and its offsets. */
async function decided(bench: StoreBench): Promise<{ sealed: Sealed; offsets: bigint[] }> {
  const sealed = bench.store.seal();
  assert.ok(sealed);
  return { sealed, offsets: bench.decide(sealed) };
}

/** Lets what can go on do so. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a large checkpoint goes in pieces, each from where the one before ends", async () => {
  const bench = await StoreBench.open();
  await bench.batch(many(1));
  await bench.checkpoint();
  const { position, values } = await bench.inCopy();
  assert.equal(position, BigInt(2 * PIECE_CHANGES_MAX + 10));
  assert.deepEqual(values, many(1));
  assert.equal(bench.repairs, 0);
});

test("every piece moves the position, so a copy that is lost between two of them is never taken for whole", async () => {
  for (const nth of [2, 3]) {
    const bench = await StoreBench.open({ cacheBytes: 0 });
    await bench.batch({ "key-0": 0, early: 1 });
    await bench.checkpoint();
    const putBack = await bench.copies.snapshot();
    await bench.batch(many(1));
    let applies = 0;
    bench.copies.onCall = async (call) => {
      if (call === "apply" && ++applies === nth) await putBack();
    };
    await bench.checkpoint();
    assert.ok(await bench.copyAgrees(), `piece ${String(nth)}`);
    assert.deepEqual((await bench.inCopy()).values, { ...many(1), early: 1 });
    assert.equal(bench.repairs, 1);
  }
});

test("a lost answer is asked for again, and finds the change there already", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1 });
  const { sealed, offsets } = await decided(bench);
  bench.copies.failNext("apply", { after: true });
  await assert.rejects(bench.store.settle(sealed, offsets, 0), isAway);
  await bench.store.settle(sealed, offsets, 0);
  assert.deepEqual(await bench.inCopy(), { position: 1n, values: { a: 1 } });
  assert.equal(bench.repairs, 0);
});

for (const after of [false, true])
  test(`a piece of several that is lost ${after ? "behind" : "before"} its effect leaves nothing out`, async () => {
    const bench = await StoreBench.open({ cacheBytes: 0 });
    await bench.batch(many(1));
    const { sealed, offsets } = await decided(bench);
    bench.copies.failNext("apply", { after });
    await assert.rejects(bench.store.settle(sealed, offsets, 0), isAway);
    assert.ok(await bench.copyAgrees());
    await bench.store.settle(sealed, offsets, 0);
    assert.deepEqual((await bench.inCopy()).values, many(1));
  });

test("keys are fetched while a settle that lost its answer waits to be tried again", async () => {
  for (const changes of [{ a: 1 }, many(1)]) {
    const bench = await StoreBench.open({ cacheBytes: 0 });
    await bench.batch(changes);
    const { sealed, offsets } = await decided(bench);
    bench.copies.failNext("apply", { after: true });
    await assert.rejects(bench.store.settle(sealed, offsets, 0), isAway);
    // The copy is further than this task knows: it is brought to the end of the changelog, with these very changes.
    assert.deepEqual(await bench.get("unknown"), [null]);
    await bench.store.settle(sealed, offsets, 0);
    await bench.batch({ b: 2 });
    await bench.checkpoint();
    assert.deepEqual((await bench.inCopy()).values, { ...changes, b: 2 });
    assert.equal(bench.repairs, 1);
  }
});

test("where the broker has not said the offsets, the changelog is read", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1 });
  const { sealed } = await decided(bench);
  await bench.store.settle(sealed, null, 0);
  assert.deepEqual((await bench.inCopy()).values, { a: 1 });
  assert.equal(bench.repairs, 1);
});

test("the copy learns the time of the changelog's record, not of the write", async () => {
  const bench = await StoreBench.open();
  await bench.batch({ a: 1 });
  const { sealed, offsets } = await decided(bench);
  await bench.store.settle(sealed, offsets, 1_234);
  assert.deepEqual(await bench.copy.position(), { nextOffset: 1n, timeMs: 1_234 });
});

test("a copy that was wiped or put back is not believed when keys are read, but read anew", async () => {
  for (const fault of ["wiped", "put back"]) {
    const bench = await StoreBench.open({ cacheBytes: 0 });
    await bench.batch({ a: 1 });
    await bench.checkpoint();
    const putBack = await bench.copies.snapshot();
    await bench.batch({ a: 2, b: 2 });
    await bench.checkpoint();
    await (fault === "wiped" ? bench.copies.wipe() : putBack());
    await bench.get("x", "y", "z");
    assert.deepEqual(await bench.get("a", "b"), [2, 2], fault);
    assert.equal(bench.repairs, 1, fault);
    assert.ok(await bench.copyAgrees());
  }
});

test("a copy that was wiped or put back refuses the next checkpoint, and is read anew", async () => {
  for (const fault of ["wiped", "put back"]) {
    const bench = await StoreBench.open();
    await bench.batch({ a: 1 });
    await bench.checkpoint();
    const putBack = await bench.copies.snapshot();
    await bench.batch({ a: 2, b: 2 });
    await bench.checkpoint();
    await (fault === "wiped" ? bench.copies.wipe() : putBack());
    await bench.batch({ a: 3 });
    await bench.checkpoint();
    assert.deepEqual((await bench.inCopy()).values, { a: 3, b: 2 }, fault);
    assert.equal(bench.repairs, 1, fault);
    assert.ok(await bench.copyAgrees());
  }
});

test("keys that are fetched while a checkpoint is on its way are those from behind it", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ a: 1 });
  await bench.checkpoint();
  await bench.batch({ a: 2 });
  const { sealed, offsets } = await decided(bench);
  const gate = Promise.withResolvers<void>();
  bench.copies.onCall = (call) => (call === "apply" ? gate.promise : undefined);
  const settling = bench.store.settle(sealed, offsets, 0);
  // In memory until the copy has it, not only until the decision.
  assert.deepEqual(await bench.get("a", "b"), [2, null]);
  gate.resolve();
  await settling;
  bench.copies.onCall = () => undefined;
  await bench.get("x");
  await bench.get("y");
  assert.deepEqual(await bench.get("a"), [2]);
  assert.equal(bench.repairs, 0);
});

test("keys that are fetched between two pieces of a checkpoint wait for the last of them", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch(many(1));
  const { sealed, offsets } = await decided(bench);
  const gate = Promise.withResolvers<void>();
  let applies = 0;
  bench.copies.onCall = (call) => (call === "apply" && ++applies > 1 ? gate.promise : undefined);
  const settling = bench.store.settle(sealed, offsets, 0);
  await turn();
  const asking = bench.get("unknown");
  await turn();
  gate.resolve();
  assert.deepEqual(await asking, [null]);
  await settling;
  assert.equal(bench.repairs, 0);
});

test("a repair that began before a checkpoint was decided does not stand for it", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ a: 1 });
  await bench.checkpoint();
  await bench.batch({ b: 2 });
  const sealed = bench.store.seal();
  assert.ok(sealed);
  await bench.copies.wipe();
  const gate = Promise.withResolvers<void>();
  bench.onRepair = () => gate.promise;
  const loading = bench.store.load(keysOf("c"));
  await turn();
  assert.equal(bench.repairs, 1);
  const offsets = bench.decide(sealed);
  const settling = bench.store.settle(sealed, offsets, 0);
  await turn();
  gate.resolve();
  await Promise.all([loading, settling]);
  bench.stores.endBatch();
  assert.ok(await bench.copyAgrees());
  await bench.batch({ d: 4 });
  await bench.checkpoint();
  assert.deepEqual((await bench.inCopy()).values, { a: 1, b: 2, d: 4 });
});

test("a repair that ends beyond a checkpoint that was decided meanwhile has it", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ a: 1 });
  const { sealed, offsets } = await decided(bench);
  await bench.copies.wipe();
  const gate = Promise.withResolvers<void>();
  bench.onRepair = () => gate.promise;
  const loading = bench.store.load(keysOf("c"));
  await turn();
  const settling = bench.store.settle(sealed, offsets, 0);
  gate.resolve();
  await Promise.all([loading, settling]);
  assert.deepEqual((await bench.inCopy()).values, { a: 1 });
  assert.equal(bench.repairs, 1);
});

test("while the copy is away nothing is forgotten, and a failed repair is tried again", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ a: 1 });
  const { sealed, offsets } = await decided(bench);
  await bench.copies.wipe();
  bench.copies.setAvailable(false);
  await assert.rejects(bench.store.settle(sealed, offsets, 0), isAway);
  await assert.rejects(bench.store.load(keysOf("b")), isAway);
  assert.deepEqual(await bench.get("a"), [1]);
  bench.copies.setAvailable(true);
  bench.copies.failNext("finish");
  await assert.rejects(bench.store.settle(sealed, offsets, 0), isAway);
  await bench.store.settle(sealed, offsets, 0);
  assert.deepEqual(await bench.get("b", "a"), [null, 1]);
  assert.deepEqual((await bench.inCopy()).values, { a: 1 });
});

test("one repair at a time serves everybody who waits for it", async () => {
  const bench = await StoreBench.open();
  await bench.copies.wipe();
  await Promise.all([bench.store.load(keysOf("a")), bench.store.repair(), bench.store.repair()]);
  assert.equal(bench.repairs, 1);
});

test("a copy that is further than this task, by a zombie's late write, is not believed either", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ a: 1 });
  await bench.checkpoint();
  const value = bench.codec.encode({ value: 99, timestamp: 0, dueMs: null });
  const late = { expected: 1n, target: { nextOffset: 5n, timeMs: 0 } };
  await bench.copy.apply({ ...late, changes: [{ key: Buffer.from("a"), value, dueMs: null }] });
  await bench.get("x", "y");
  assert.deepEqual(await bench.get("a"), [1]);
  assert.equal(bench.repairs, 1);
});
