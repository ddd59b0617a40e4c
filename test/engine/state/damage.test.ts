// A copy whose content is none that Millrace writes is made anew from the changelog, and no question about it fails; what the
// changelog itself says stops the task.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { keyOf, keysOf, StoreBench } from "../../support/stores.ts";

const damaged = (): MillraceError => new MillraceError("MILL_STATE_COPY", "its position is none");

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof MillraceError && error.code === code;

/** A key that lies in the copy and the changelog, and in no memory. */
async function stored(): Promise<StoreBench> {
  const bench = await StoreBench.open({ cacheBytes: 1 });
  await bench.work({ a: 1 });
  bench.store.set(keyOf("a"), { value: 1, timestamp: 0, dueMs: 50 });
  bench.stores.endBatch();
  await bench.checkpoint();
  for (let i = 0; i < 3; i++) bench.stores.endBatch();
  return bench;
}

const valueOf = async (bench: StoreBench, key: string): Promise<unknown> => {
  await bench.store.load(keysOf(key));
  return bench.store.get(keyOf(key))?.value ?? null;
};

test("a copy that cannot be read is made anew, once, whatever is asked", async () => {
  const asks: readonly ((bench: StoreBench) => Promise<unknown>)[] = [
    async (bench) => assert.equal(await valueOf(bench, "a"), 1),
    async (bench) =>
      assert.deepEqual(
        (await bench.store.due(60, 10)).map(({ id }) => id),
        ["a"],
      ),
  ];
  for (const ask of asks) {
    const bench = await stored();
    let left = 1;
    bench.copies.onCall = (call) => {
      if ((call === "read" || call === "due") && left-- > 0) throw damaged();
    };
    await ask(bench);
    assert.deepEqual([bench.discards, bench.repairs], [1, 1]);
  }
});

test("a piece that a damaged copy refuses is followed by a look at the changelog", async () => {
  const bench = await stored();
  await bench.batch({ a: 2, b: 3 });
  bench.copies.onCall = (call) => {
    if (call === "apply") throw damaged();
  };
  await bench.checkpoint();
  bench.copies.onCall = () => undefined;
  assert.equal(bench.repairs, 1);
  for (const [key, value] of Object.entries({ a: 2, b: 3 }))
    assert.equal(await valueOf(bench, key), value);
});

test("who damages the copy again and again ends the task with a code, not in a loop", async () => {
  const bench = await stored();
  bench.copies.onCall = (call) => {
    if (call === "read") throw damaged();
  };
  await assert.rejects(bench.store.load(keysOf("a")), hasCode("MILL_STATE_COPY"));
  assert.equal(bench.discards, 3);
});

test("a value that only the copy has is discarded with it; one of the changelog is its task's end", async () => {
  for (const isOfChangelog of [false, true]) {
    const bench = await stored();
    const garbage = Buffer.from("{garbage");
    const position = { nextOffset: bench.end - 1n, timeMs: 0 };
    await bench.copies.put(bench.id, {
      position,
      entries: new Map([["a", garbage]]),
      dues: new Map(),
    });
    if (isOfChangelog)
      bench.changelog.push({ key: Buffer.from("a"), value: garbage, dueMs: null, offset: 9n });
    if (isOfChangelog) await assert.rejects(valueOf(bench, "a"), hasCode("MILL_STATE_FORMAT"));
    else assert.equal(await valueOf(bench, "a"), 1);
    assert.equal(bench.discards, isOfChangelog ? 0 : 1);
  }
});

test("an index that says other than the entries is discarded with its copy before anything fires", async () => {
  const lies: readonly ReadonlyMap<string, number>[] = [
    new Map([["a", 10]]),
    new Map([
      ["a", 50],
      ["none", 20],
    ]),
  ];
  for (const dues of lies) {
    const bench = await stored();
    const { position, entries } = await bench.copies.look(bench.id);
    const never = bench.codec.encode({ value: 1, timestamp: 0, dueMs: null });
    await bench.copies.put(bench.id, {
      ...{ position, dues },
      entries: new Map([...entries, ["none", never]]),
    });
    assert.deepEqual(await bench.store.due(30, 10), []);
    assert.equal(bench.discards, 1);
    assert.deepEqual(
      (await bench.store.due(60, 10)).map(({ id, dueMs }) => [id, dueMs]),
      [["a", 50]],
    );
    assert.equal(bench.discards, 1);
  }
});

test("a settle that is on its way is waited for, and only then is the copy made anew", async () => {
  const bench = await stored();
  await bench.batch({ b: 2 });
  const sealed = bench.store.seal();
  assert.ok(sealed !== null);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  let isDamaged = true;
  bench.copies.onCall = (call) => {
    if (call === "apply") return held;
    if (call === "read" && isDamaged) throw damaged();
    return undefined;
  };
  const settling = bench.store.settle(sealed, bench.decide(sealed), 0);
  const loading = valueOf(bench, "a");
  await new Promise((done) => setImmediate(done));
  assert.equal(bench.discards, 0);
  isDamaged = false;
  release();
  await settling;
  assert.equal(await loading, 1);
});
