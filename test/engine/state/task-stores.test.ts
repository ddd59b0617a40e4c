import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import { KeyedStore, type Change } from "../../../src/engine/state/keyed-store.ts";
import { memoryCopies } from "../../../src/engine/state/memory-copy.ts";
import { CacheBudget, OpenStores } from "../../../src/engine/state/task-stores.ts";
import { keyOf, keysOf, plainCodec } from "../../support/stores.ts";

/** Two stores of one task. */
async function twoStores() {
  const copies = memoryCopies();
  const budget = new CacheBudget(1e6);
  const journal: Change[] = [];
  const asked: string[] = [];
  const open = async (name: string): Promise<[string, KeyedStore]> => {
    const copy = copies.copy({ prefix: "p", store: name, partition: 0 });
    const read = copy.read.bind(copy);
    copy.read = (keys) => {
      asked.push(keys.map(String).join());
      return read(keys);
    };
    await (await copy.rebuild()).finish({ nextOffset: 0n, timeMs: 0 });
    const store = new KeyedStore({
      codec: entryCodec(plainCodec, name),
      changeBytesMax: 1e6,
      copy,
      position: 0n,
      cache: budget.share({}),
      journal,
      repair: () => Promise.resolve(0n),
      ...{ discard: () => Promise.resolve(0n), blame: () => Promise.resolve() },
      learn: () => Promise.resolve(),
    });
    return [name, store];
  };
  const opened = [await open("one"), await open("two")];
  return { stores: new OpenStores(new Map(opened), journal, (work) => work()), budget, asked };
}

const entry = (value: unknown) => ({ value, timestamp: 0, dueMs: null });

test("a batch's changes of all stores are taken back together, in the reverse order", async () => {
  const { stores, asked } = await twoStores();
  for (const name of ["one", "two"]) await stores.load(name, keysOf("a"));
  assert.deepEqual(asked, ["a", "a"]);
  const [one, two] = [stores.view("one"), stores.view("two")];
  const a = keyOf("a");
  one.set(a, entry(1));
  const mark = stores.mark();
  two.set(a, entry(2));
  one.set(a, entry(3));
  two.set(a, null);
  stores.rollback(mark);
  assert.deepEqual([one.get(a)?.value, two.get(a)], [1, null]);
  stores.rollback(0);
  assert.deepEqual([one.get(a), two.get(a)], [null, null]);
});

test("what a finished batch has changed cannot be taken back any more", async () => {
  const { stores } = await twoStores();
  await stores.load("one", keysOf("a"));
  stores.view("one").set(keyOf("a"), entry(1));
  stores.endBatch();
  assert.equal(stores.mark(), 0);
  stores.rollback(0);
  assert.deepEqual(stores.view("one").get(keyOf("a")), entry(1));
});

test("a store that the plan does not have is a defect of ours", async () => {
  const { stores } = await twoStores();
  assert.throws(() => stores.view("three"), MillraceError);
});

test("closed stores leave the cache to others", async () => {
  const { stores, budget } = await twoStores();
  const other = budget.share({});
  other.add(600_000);
  assert.equal(other.isOver, true);
  stores.close();
  assert.equal(other.isOver, false);
});
