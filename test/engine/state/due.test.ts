// Which keys of a store are due: those of the copy's index, under the changes that it lacks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DueIndex } from "../../../src/engine/state/due-index.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import { keyOf, keysOf, StoreBench } from "../../support/stores.ts";

/** Entries by key: due then; null deletes, "never" is never due. */
type Dues = Readonly<Record<string, number | null | "never">>;

async function work(bench: StoreBench, dues: Dues): Promise<void> {
  await bench.store.load(keysOf(...Object.keys(dues)));
  for (const [key, due] of Object.entries(dues)) {
    const dueMs = due === "never" ? null : due;
    bench.store.set(keyOf(key), due === null ? null : { value: key, timestamp: 0, dueMs });
  }
}

async function batch(bench: StoreBench, dues: Dues): Promise<void> {
  await work(bench, dues);
  bench.stores.endBatch();
}

async function due(bench: StoreBench, before = Infinity, most = 100): Promise<string> {
  const keys = await bench.store.due(before, most);
  return keys.map(({ id, dueMs }) => `${id}@${String(dueMs)}`).join(" ");
}

test("what is due is found in order, whether the copy has it, lacks it, or is about to get it", async () => {
  const bench = await StoreBench.open();
  await batch(bench, { a: 10, b: 40, c: 30 });
  await bench.checkpoint();
  await batch(bench, { d: 20, e: 40 });
  const onItsWay = bench.store.seal();
  await batch(bench, { f: 30, g: "never" });
  assert.equal(await due(bench), "a@10 d@20 c@30 f@30 b@40 e@40");
  assert.equal(await due(bench, 30), "a@10 d@20");
  assert.equal(await due(bench, 40, 3), "a@10 d@20 c@30");
  assert.ok(onItsWay !== null);
  await bench.store.settle(onItsWay, bench.decide(onItsWay), 0);
  assert.equal(await due(bench), "a@10 d@20 c@30 f@30 b@40 e@40");
});

test("the newest change of a key says when it is due, and whether at all", async () => {
  const bench = await StoreBench.open();
  await batch(bench, { a: 10, b: 20, c: 30, d: 40 });
  await bench.checkpoint();
  await batch(bench, { a: 50, b: null, c: "never" });
  const onItsWay = bench.store.seal();
  assert.equal(await due(bench), "d@40 a@50");
  await batch(bench, { b: 5, d: null });
  assert.equal(await due(bench), "b@5 a@50");
  assert.ok(onItsWay !== null);
  await bench.store.settle(onItsWay, bench.decide(onItsWay), 0);
  await bench.checkpoint();
  assert.equal(await due(bench), "b@5 a@50");
  assert.deepEqual([...(await bench.copies.look(bench.id)).dues].sort(), [
    ["a", 50],
    ["b", 5],
  ]);
});

test("a copy is asked for more where changes in memory put off what it names", async () => {
  const bench = await StoreBench.open();
  const all = Array.from({ length: 100 }, (_, i) => `k${String(i).padStart(2, "0")}`);
  await batch(bench, Object.fromEntries(all.map((key, i) => [key, i])));
  await bench.checkpoint();
  await batch(bench, Object.fromEntries(all.slice(0, 95).map((key) => [key, 1_000])));
  assert.equal(await due(bench, 500, 2), "k95@95 k96@96");
  assert.equal(bench.store.nextDueMs, 97);
});

test("a batch that is taken back leaves what was due before it", async () => {
  const bench = await StoreBench.open();
  await batch(bench, { a: 10, b: 20 });
  await bench.checkpoint();
  assert.equal(await due(bench, 15), "a@10");
  assert.equal(bench.store.nextDueMs, 20);
  await work(bench, { a: null, b: 30, c: 5 });
  bench.stores.rollback(0);
  assert.ok(bench.store.nextDueMs <= 10);
  assert.equal(await due(bench), "a@10 b@20");
});

test("nothing needs to be asked before a time below which nothing is due", async () => {
  const bench = await StoreBench.open();
  assert.equal(bench.store.nextDueMs, -Infinity);
  assert.equal(await due(bench, 10), "");
  assert.equal(bench.store.nextDueMs, Infinity);
  await batch(bench, { a: 30, b: 20 });
  assert.equal(bench.store.nextDueMs, 20);
  assert.equal(await due(bench, 25), "b@20");
  assert.equal(bench.store.nextDueMs, 30);
  bench.store.dueAgain(20);
  assert.equal(await due(bench, 25), "b@20");
});

test("an index at another position is not believed: the copy is brought up first", async () => {
  const bench = await StoreBench.open();
  await batch(bench, { a: 10, b: 20 });
  const putBack = await bench.copies.snapshot();
  await bench.checkpoint();
  await putBack();
  assert.equal(await due(bench, 15), "a@10");
  assert.equal(bench.repairs, 1);
  await bench.copies.wipe();
  assert.equal(await due(bench), "a@10 b@20");
  assert.equal(bench.repairs, 2);
});

test("a key of the index is read once while the copy does not move", async () => {
  const bench = await StoreBench.open();
  await batch(bench, Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${String(i)}`, i])));
  await bench.checkpoint();
  let asked = 0;
  bench.copies.onCall = (call) => void (asked += call === "due" ? 1 : 0);
  assert.equal(await due(bench, 9, 3), "k0@0 k1@1 k2@2");
  assert.equal(await due(bench, 2, 3), "k0@0 k1@1");
  assert.equal(asked, 1);
  await batch(bench, { k0: null, k1: 5 });
  assert.equal(await due(bench, 9, 3), "k2@2 k3@3 k4@4");
  assert.equal(asked, 2);
  await bench.checkpoint();
  assert.equal(await due(bench, 9, 3), "k2@2 k3@3 k4@4");
  assert.equal(asked, 3);
});

test("keys that are due while a checkpoint is on its way are those of behind it", async () => {
  const bench = await StoreBench.open();
  await batch(bench, { a: 10, b: 20 });
  await bench.checkpoint();
  await batch(bench, { a: null, c: 5 });
  const sealed = bench.store.seal();
  assert.ok(sealed !== null);
  bench.copies.onCall = async (call) => {
    if (call !== "due") return;
    bench.copies.onCall = () => undefined;
    // The copy moves while the question is on its way to it.
    await bench.store.settle(sealed, bench.decide(sealed), 0);
  };
  const found = due(bench);
  assert.equal(await found, "c@5 b@20");
});

test("keys of a batch stay until its end, however often it asks for further ones", async () => {
  const bench = await StoreBench.open({ cacheBytes: 0 });
  await bench.batch({ x: 1 });
  const sealed = bench.store.seal();
  await bench.store.load(keysOf("a", "b"));
  await bench.store.load(keysOf("c"));
  await bench.store.load(keysOf("d"));
  // A checkpoint settles meanwhile, and the cache makes room: twice, since what was just asked for has a second chance.
  assert.ok(sealed !== null);
  await bench.store.settle(sealed, bench.decide(sealed), 0);
  for (let i = 0; i < 3; i++) bench.store.trim();
  for (const key of ["a", "b", "c", "d"]) assert.equal(bench.store.get(keyOf(key)), null);
  bench.stores.endBatch();
  bench.store.trim();
  assert.throws(() => bench.store.get(keyOf("a")), /not loaded/);
});

test("the index in memory is in order after any changes, and drops the places that keys have left", () => {
  const random = seededRandom(7);
  const index = new DueIndex();
  const truth = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const id = `k${String(Math.floor(random.next() * 50))}`;
    const dueMs = random.next() < 0.2 ? null : Math.floor(random.next() * 20);
    if (dueMs === null) {
      index.delete(id);
      truth.delete(id);
    } else {
      index.set(id, dueMs);
      truth.set(id, dueMs);
    }
    if (i % 500 !== 0) continue;
    const want = [...truth].sort(([k, a], [l, b]) => a - b || (k < l ? -1 : 1));
    const { keys, nextMs } = index.first(15, 10, 0);
    const below = want.filter(([, at]) => at < 15).slice(0, 10);
    assert.deepEqual(
      keys.map(({ key, dueMs: at }) => [String(key), at]),
      below,
    );
    assert.equal(nextMs, want[below.length]?.[1] ?? null);
    assert.equal(index.first(Infinity, Infinity, 0).keys.length, truth.size);
    const behind = index.first(15, 4, 3).keys;
    assert.deepEqual(
      behind.map(({ key, dueMs: at }) => [String(key), at]),
      below.slice(3, 7),
    );
  }
});
