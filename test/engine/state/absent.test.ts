// Keys of windows that are known to be in no copy, since they begin later than anything in it is due: they are not read.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StateKey } from "../../../src/engine/core/state.ts";
import { MadeKey } from "../../../src/engine/transform/operator.ts";
import { StoreBench } from "../../support/stores.ts";

/** The window of this start, which is due 10 ms later. */
const windowAt = (startMs: number): StateKey => new MadeKey(`w${String(startMs)}`, startMs);
const keysAt = (...starts: readonly number[]): Map<string, StateKey> =>
  new Map(starts.map(windowAt).map((key) => [key.id, key]));

class Windows {
  readonly bench: StoreBench;
  /** Questions to the copy, in words. */
  calls: string[] = [];

  constructor(bench: StoreBench) {
    this.bench = bench;
    bench.copies.onCall = (call) => void (call === "apply" || this.calls.push(call));
  }

  static async open(cacheBytes?: number): Promise<Windows> {
    return new Windows(await StoreBench.open(cacheBytes === undefined ? {} : { cacheBytes }));
  }

  /** A batch that adds one to the windows of these starts; null deletes. */
  async batch(...starts: readonly number[]): Promise<readonly (number | null)[]> {
    const { store, stores } = this.bench;
    await store.load(keysAt(...starts));
    const before = starts.map((startMs) => this.#valueAt(startMs));
    for (const [i, startMs] of starts.entries())
      store.set(windowAt(startMs), {
        value: (before[i] ?? 0) + 1,
        timestamp: startMs,
        dueMs: startMs + 10,
      });
    stores.endBatch();
    return before;
  }

  async delete(...starts: readonly number[]): Promise<void> {
    const { store, stores } = this.bench;
    await store.load(keysAt(...starts));
    for (const startMs of starts) store.set(windowAt(startMs), null);
    stores.endBatch();
  }

  async get(...starts: readonly number[]): Promise<readonly (number | null)[]> {
    const { store, stores } = this.bench;
    await store.load(keysAt(...starts));
    const values = starts.map((startMs) => this.#valueAt(startMs));
    stores.endBatch();
    return values;
  }

  #valueAt(startMs: number): number | null {
    return (this.bench.store.get(windowAt(startMs))?.value ?? null) as number | null;
  }

  /** Another owner of the same copy. */
  async takeover(): Promise<Windows> {
    const next = new StoreBench();
    await next.copies.put(next.id, await this.bench.copies.look(this.bench.id));
    next.changelog.push(...this.bench.changelog);
    next.end = this.bench.end;
    // It is brought up at a takeover.
    await next.store.repair();
    next.repairs = 0;
    return new Windows(next);
  }
}

test("windows that begin later than all that is due are not read, and found when they are made", async () => {
  const windows = await Windows.open();
  assert.deepEqual(await windows.batch(100, 200), [null, null]);
  assert.deepEqual(windows.calls, ["lastDue"]);
  assert.deepEqual(await windows.batch(200, 300), [1, null]);
  await windows.bench.checkpoint();
  assert.deepEqual(await windows.get(100, 200, 300, 400), [1, 2, 1, null]);
  assert.deepEqual(windows.calls, ["lastDue"]);
});

test("a new owner reads what may be there, and nothing that begins later", async () => {
  const first = await Windows.open();
  await first.batch(100, 200);
  await first.bench.checkpoint();
  const second = await first.takeover();
  // 200 is due at 210: what begins then may be there.
  assert.deepEqual(await second.batch(100, 205, 210), [1, null, null]);
  assert.deepEqual(second.calls, ["lastDue", "read"]);
  second.calls = [];
  assert.deepEqual(await second.batch(211, 300), [null, null]);
  assert.deepEqual(second.calls, []);
  assert.deepEqual(await second.get(200), [1]);
  assert.deepEqual(second.calls, ["read"]);
});

test("a window that made room in memory is read again, and so is each that begins before it", async () => {
  const windows = await Windows.open(1_000);
  for (let startMs = 100; startMs <= 2_000; startMs += 100) {
    await windows.batch(startMs);
    await windows.bench.checkpoint();
  }
  windows.calls = [];
  assert.deepEqual(await windows.get(100, 150), [1, null]);
  assert.deepEqual(windows.calls, ["read"]);
  windows.calls = [];
  assert.deepEqual(await windows.get(5_000), [null]);
  assert.deepEqual(windows.calls, []);
});

test("a copy that was lost is asked again when it was made anew", async () => {
  const windows = await Windows.open();
  await windows.batch(100, 200);
  await windows.bench.checkpoint();
  await windows.bench.copies.wipe();
  // A key that nobody knows anything of.
  await windows.bench.get("x");
  assert.equal(windows.bench.repairs, 1);
  windows.calls = [];
  assert.deepEqual(await windows.get(205, 300), [null, null]);
  assert.deepEqual(windows.calls, ["lastDue", "read"]);
});

test("a copy at another position says nothing about what is due at last", async () => {
  const first = await Windows.open();
  await first.batch(100, 200);
  await first.bench.checkpoint();
  const second = await first.takeover();
  const { bench } = second;
  // As a restart of Redis with an old dump.
  bench.copies.onCall = async (call) => {
    if (call === "lastDue" && bench.repairs === 0)
      await bench.copies.put(bench.id, {
        position: { nextOffset: 0n, timeMs: 0 },
        ...{ entries: new Map(), dues: new Map() },
      });
  };
  assert.deepEqual(await second.batch(100, 200), [1, 1]);
  assert.equal(bench.repairs, 1);
});

test("a window that is deleted leaves memory when the copy knows, and is made anew", async () => {
  const windows = await Windows.open();
  await windows.batch(100);
  await windows.bench.checkpoint();
  await windows.delete(100);
  const sealed = windows.bench.store.seal();
  assert.ok(sealed !== null);
  // The next batch has it in hand while the copy gets the deletion.
  await windows.bench.store.load(keysAt(100));
  await windows.bench.store.settle(sealed, windows.bench.decide(sealed), 0);
  assert.equal(windows.bench.store.get(windowAt(100)), null);
  windows.bench.store.set(windowAt(100), { value: 7, timestamp: 100, dueMs: 110 });
  windows.bench.stores.rollback(0);
  assert.equal(windows.bench.store.get(windowAt(100)), null);
  windows.bench.stores.endBatch();
  assert.deepEqual(await windows.batch(100), [null]);
  await windows.bench.checkpoint();
  assert.deepEqual(await windows.get(100), [1]);
  assert.deepEqual(windows.calls, ["lastDue"]);
});
