// What every StateCopy must do, in memory and in Redis alike.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MillraceError } from "../../src/engine/core/errors.ts";
import {
  PIECE_CHANGES_MAX,
  type CopyPosition,
  type StateChange,
  type StateCopies,
  type StateCopy,
  type StatePiece,
  type StoreId,
} from "../../src/engine/core/state.ts";

export interface StateCopiesFixture {
  /** The copies as one more worker has them. */
  copies(): StateCopies;
  close(): Promise<void>;
}

let stores = 0;
/** A store that no other test of this run or of another one has. */
export const aStore = (): StoreId => ({
  prefix: `contract-${String(process.pid)}-${Math.random().toString(36).slice(2)}`,
  store: `store-${String(++stores)}`,
  partition: 3,
});

export const at = (nextOffset: bigint | number, timeMs = 1_000): CopyPosition => ({
  nextOffset: BigInt(nextOffset),
  timeMs,
});

export const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

/** A value (latin1), with its due where it has one; null deletes. */
export type Text = string | null | readonly [value: string, dueMs: number];

/** Changes by their keys (latin1). */
export const changes = (pairs: Readonly<Record<string, Text>>): StateChange[] =>
  Object.entries(pairs).map(([key, given]) => {
    const [value, dueMs] = Array.isArray(given) ? given : [given as string | null, null];
    return { key: bytes(key), value: value === null ? null : bytes(value as string), dueMs };
  });

export const piece = (
  from: bigint | number,
  to: bigint | number,
  pairs: Readonly<Record<string, Text>> = {},
): StatePiece => ({ expected: BigInt(from), target: at(to), changes: changes(pairs) });

/** A copy with these entries at a position. */
export async function begin(
  copy: StateCopy,
  position: bigint | number,
  pairs: Readonly<Record<string, Text>> = {},
): Promise<StateCopy> {
  const rebuild = await copy.rebuild();
  await rebuild.put(changes(pairs));
  await rebuild.finish(at(position));
  return copy;
}

/** The position and the values of these keys, as texts. */
export async function look(copy: StateCopy, ...keys: readonly string[]): Promise<unknown[]> {
  const { nextOffset, values } = await copy.read(keys.map(bytes));
  return [nextOffset, ...values.map((value) => value?.toString("latin1") ?? null)];
}

export async function scanAll(copy: StateCopy, entriesMax: number): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let cursor: string | null = null;
  do {
    const page = await copy.scan(cursor, entriesMax);
    for (const { key, value } of page.entries)
      found.set(key.toString("latin1"), value.toString("latin1"));
    ({ cursor } = page);
  } while (cursor !== null);
  return found;
}

export const hasCode =
  (code: string, disposition = "halt") =>
  (error: unknown): boolean => {
    assert.ok(error instanceof MillraceError, String(error));
    assert.deepEqual([error.code, error.disposition], [code, disposition], error.message);
    return true;
  };

const many = (count: number, value: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`key-${String(i)}`, value]));

export function stateCopyContract(name: string, open: () => Promise<StateCopiesFixture>): void {
  describe(`a copy of a store ${name}`, () => {
    let fixture: StateCopiesFixture;
    let copies: StateCopies;
    const used: StateCopy[] = [];
    const aCopy = (store = aStore()): StateCopy => {
      const copy = copies.copy(store);
      used.push(copy);
      return copy;
    };
    before(async () => {
      fixture = await open();
      copies = fixture.copies();
    });
    after(async () => {
      await Promise.all(used.map((copy) => copy.remove()));
      await copies.close();
      await fixture.close();
    });

    test("where there is none, nothing has a position or a value, and nothing can be applied", async () => {
      const copy = aCopy();
      assert.equal(await copy.position(), null);
      assert.deepEqual(await look(copy, "a", "b"), [null, null, null]);
      assert.deepEqual(await copy.scan(null, 10), { nextOffset: null, entries: [], cursor: null });
      assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "refused");
      assert.deepEqual(await look(copy, "a"), [null, null]);
    });

    test("the first copy of a store is an empty rebuild", async () => {
      const copy = await begin(aCopy(), 0);
      assert.deepEqual(await copy.position(), at(0));
      assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "applied");
      assert.deepEqual(await look(copy, "a"), [5n, "1"]);
    });

    test("a piece sets and deletes, and moves the position and its time", async () => {
      const copy = await begin(aCopy(), 7, { a: "1", b: "2", c: "3" });
      const moved: StatePiece = {
        expected: 7n,
        target: at(12, 5_000),
        changes: changes({ a: "10", b: null, d: "4", e: null }),
      };
      assert.equal(await copy.apply(moved), "applied");
      assert.deepEqual(await look(copy, "a", "b", "c", "d", "e"), [
        12n,
        "10",
        null,
        "3",
        "4",
        null,
      ]);
      assert.deepEqual(await copy.position(), at(12, 5_000));
    });

    test("a read answers in the order of its keys, also for one that stands twice, also for none", async () => {
      const copy = await begin(aCopy(), 7, { a: "1", b: "2" });
      assert.deepEqual(await look(copy, "b", "x", "a", "b"), [7n, "2", null, "1", "2"]);
      assert.deepEqual(await look(copy), [7n]);
    });

    test("a piece without changes moves the position", async () => {
      const copy = await begin(aCopy(), 7, { a: "1" });
      assert.equal(await copy.apply(piece(7, 9)), "applied");
      assert.deepEqual(await look(copy, "a"), [9n, "1"]);
    });

    test("a piece of deletions alone is applied", async () => {
      const copy = await begin(aCopy(), 7, { a: "1" });
      assert.equal(await copy.apply(piece(7, 9, { a: null })), "applied");
      assert.deepEqual(await look(copy, "a"), [9n, null]);
    });

    test("a piece that comes again is already there, and changes nothing", async () => {
      const copy = await begin(aCopy(), 7);
      assert.equal(await copy.apply(piece(7, 12, { a: "1" })), "applied");
      assert.equal(await copy.apply(piece(7, 12, { a: "1" })), "already");
      assert.equal(await copy.apply(piece(12, 15, { a: "2" })), "applied");
      assert.equal(await copy.apply(piece(7, 12, { a: "1", b: "1" })), "already");
      assert.deepEqual(await look(copy, "a", "b"), [15n, "2", null]);
    });

    test("a piece that expects a later position is refused", async () => {
      const copy = await begin(aCopy(), 7, { a: "1" });
      assert.equal(await copy.apply(piece(8, 12, { a: "2", b: "2" })), "refused");
      assert.deepEqual(await look(copy, "a", "b"), [7n, "1", null]);
    });

    test("a piece that expects an earlier position and reaches beyond is refused", async () => {
      const copy = await begin(aCopy(), 7, { a: "1" });
      assert.equal(await copy.apply(piece(5, 12, { a: "2" })), "refused");
      assert.deepEqual(await look(copy, "a"), [7n, "1"]);
    });

    test("positions are compared as numbers, exactly, whatever their length", async () => {
      const copy = await begin(aCopy(), 99);
      assert.equal(await copy.apply(piece(9, 10)), "already");
      assert.equal(await copy.apply(piece(98, 100, { a: "wrong" })), "refused");
      assert.equal(await copy.apply(piece(99, 2n ** 53n)), "applied");
      assert.equal(await copy.apply(piece(2n ** 53n + 1n, 2n ** 53n + 2n)), "refused");
      assert.equal(await copy.apply(piece(98, 2n ** 53n + 1n)), "refused");
      assert.equal(await copy.apply(piece(2n ** 53n, 2n ** 53n + 1n, { a: "1" })), "applied");
      assert.deepEqual(await look(copy, "a"), [2n ** 53n + 1n, "1"]);
      assert.equal(await copy.apply(piece(2n ** 53n, 2n ** 53n + 1n)), "already");
    });

    test("of two workers with the same piece one applies it", async (t) => {
      const store = aStore();
      const other = fixture.copies();
      t.after(() => (other === copies ? undefined : other.close()));
      const copy = await begin(aCopy(store), 0);
      const [one, two] = await Promise.all([
        copy.apply(piece(0, 5, { a: "1" })),
        other.copy(store).apply(piece(0, 5, { a: "1" })),
      ]);
      assert.deepEqual([one, two].toSorted(), ["already", "applied"]);
    });

    test("stores and partitions are apart", async () => {
      const store = aStore();
      const copy = await begin(aCopy(store), 1, { a: "1" });
      const others = [
        { ...store, partition: 4 },
        { ...store, store: `${store.store}-more` },
        { ...store, prefix: `${store.prefix}-more` },
      ];
      for (const [i, other] of others.entries())
        await begin(aCopy(other), 10 + i, { a: String(i) });
      assert.deepEqual(await look(copy, "a"), [1n, "1"]);
      for (const [i, other] of others.entries())
        assert.deepEqual(await look(copies.copy(other), "a"), [BigInt(10 + i), String(i)]);
    });

    test("keys and values are any bytes, also those that look like our own", async () => {
      const keys = ["", "\0", "\0p", "\0t", "\0v", "\0r", "\0k", "\0kp", "\0\0", "\xff\xfe", "p"];
      const copy = await begin(aCopy(), 7);
      const values = Object.fromEntries(keys.map((key, i) => [key, `\0\xff${String(i)}`]));
      assert.equal(await copy.apply(piece(7, 8, values)), "applied");
      assert.deepEqual(await look(copy, ...keys), [8n, ...Object.values(values)]);
      assert.deepEqual(await copy.position(), at(8));
      const inOrder = [...(await scanAll(copy, 3))].toSorted();
      assert.deepEqual(inOrder, Object.entries(values).toSorted());
      const none = Object.fromEntries(keys.map((key) => [key, null]));
      assert.equal(await copy.apply(piece(8, 9, none)), "applied");
      assert.deepEqual(await look(copy, ...keys), [9n, ...keys.map(() => null)]);
      assert.deepEqual(await copy.position(), at(9));
    });

    test("values may be empty, or a megabyte", async () => {
      const large = Buffer.alloc(1_000_000, 0xa5).toString("latin1");
      const copy = await begin(aCopy(), 7, { large, empty: "" });
      assert.deepEqual(await look(copy, "large", "empty"), [7n, large, ""]);
      assert.equal(await copy.apply(piece(7, 8, { large: "", empty: large })), "applied");
      assert.deepEqual(await look(copy, "large", "empty"), [8n, "", large]);
    });

    test("bytes that the caller uses again do not change what was stored", async () => {
      const change = { key: bytes("a"), value: bytes("1"), dueMs: null };
      const copy = await begin(aCopy(), 7);
      await copy.apply({ ...piece(7, 8), changes: [change] });
      change.key.fill("b");
      change.value.fill("2");
      assert.deepEqual(await look(copy, "a", "b"), [8n, "1", null]);
    });

    test("a piece holds many changes, and not too many", async () => {
      const copy = await begin(aCopy(), 0, { other: "1" });
      const most = many(PIECE_CHANGES_MAX, "1");
      assert.equal(await copy.apply(piece(0, 1, most)), "applied");
      assert.equal((await scanAll(copy, 1_000)).size, PIECE_CHANGES_MAX + 1);
      const none = Object.fromEntries(Object.keys(most).map((key) => [key, null]));
      assert.equal(await copy.apply(piece(1, 2, none)), "applied");
      assert.deepEqual(await scanAll(copy, 1_000), new Map([["other", "1"]]));
      const tooMany = copy.apply(piece(2, 3, { ...most, more: "1" }));
      await assert.rejects(tooMany, hasCode("MILL_ENGINE_INVARIANT"));
    });

    test("a piece that does not lead forward is a mistake of the caller", async () => {
      const copy = await begin(aCopy(), 7);
      await assert.rejects(copy.apply(piece(7, 7)), hasCode("MILL_ENGINE_INVARIANT"));
      await assert.rejects(copy.apply(piece(7, 6)), hasCode("MILL_ENGINE_INVARIANT"));
    });

    test("a rebuild is not seen until it is finished, and then at once", async () => {
      const copy = await begin(aCopy(), 7, { a: "old", b: "old" });
      const rebuild = await copy.rebuild();
      await rebuild.put(changes({ a: "new", c: "new" }));
      assert.deepEqual(await look(copy, "a", "b", "c"), [7n, "old", "old", null]);
      assert.equal(await copy.apply(piece(7, 8, { b: "older" })), "applied");
      await rebuild.finish(at(20, 9_000));
      assert.deepEqual(await look(copy, "a", "b", "c"), [20n, "new", null, "new"]);
      assert.deepEqual(await copy.position(), at(20, 9_000));
      assert.equal(await copy.apply(piece(20, 21, { c: "newer" })), "applied");
    });

    test("a later change of a key replaces an earlier one, in one put and in several", async () => {
      const copy = aCopy();
      const rebuild = await copy.rebuild();
      const twice = [...changes({ a: "1", b: "1", c: "1" }), ...changes({ a: null, b: "2" })];
      await rebuild.put([...twice, ...changes({ a: "3" }), ...changes({ d: "1" })]);
      await rebuild.put(changes({ c: null, d: "4" }));
      await rebuild.put([]);
      await rebuild.finish(at(9));
      assert.deepEqual(await look(copy, "a", "b", "c", "d"), [9n, "3", "2", null, "4"]);
      assert.equal((await scanAll(copy, 10)).size, 3);
    });

    test("a rebuild replaces a copy that is ahead of it", async () => {
      const copy = await begin(aCopy(), 1_000, { a: "1" });
      await begin(copy, 7);
      assert.deepEqual(await look(copy, "a"), [7n, null]);
    });

    test("a rebuild of a hundred thousand keys, some of them several times", async () => {
      const copy = aCopy();
      const rebuild = await copy.rebuild();
      for (let i = 0; i < 100_000; i += 10_000) {
        const keys = Array.from({ length: 10_000 }, (_, k) => `key-${String(i + k)}`);
        const first = keys.map((key) => ({ key: bytes(key), value: bytes("wrong"), dueMs: null }));
        const last = keys.map((key) => ({ key: bytes(key), value: bytes(key), dueMs: null }));
        await rebuild.put([...first, ...last]);
      }
      await rebuild.finish(at(100_000));
      assert.deepEqual(await look(copy, "key-0", "key-99999"), [100_000n, "key-0", "key-99999"]);
      const found = await scanAll(copy, 5_000);
      assert.equal(found.size, 100_000);
      assert.ok([...found].every(([key, value]) => key === value));
    });

    test("a rebuild that is finished again stays finished, whatever was applied meanwhile", async () => {
      const copy = aCopy();
      const rebuild = await copy.rebuild();
      await rebuild.put(changes({ a: "1" }));
      await rebuild.finish(at(7));
      assert.equal(await copy.apply(piece(7, 8, { a: "2" })), "applied");
      await rebuild.finish(at(7));
      assert.deepEqual(await look(copy, "a"), [8n, "2"]);
    });

    test("a rebuild that was given up leaves the old copy, and comes to nothing", async () => {
      const copy = await begin(aCopy(), 7, { a: "1" });
      const rebuild = await copy.rebuild();
      await rebuild.put(changes({ a: "2" }));
      await rebuild.discard();
      await rebuild.discard();
      const isLost = hasCode("MILL_STATE_REBUILD_LOST", "retry");
      await assert.rejects(rebuild.put(changes({ a: "3" })), isLost);
      await assert.rejects(rebuild.finish(at(9)), isLost);
      assert.deepEqual(await look(copy, "a"), [7n, "1"]);
    });

    test("of two rebuilds the one that is finished last stays, whole", async () => {
      const copy = aCopy();
      const [one, two] = [await copy.rebuild(), await copy.rebuild()];
      await one.put(changes({ a: "1", b: "1" }));
      await two.put(changes({ b: "2", c: "2" }));
      await two.finish(at(20));
      await one.finish(at(10));
      assert.deepEqual(await look(copy, "a", "b", "c"), [10n, "1", "1", null]);
    });

    test("a scan sees every entry that stays, while others come and go", async () => {
      const entries = many(2_000, "1");
      const copy = await begin(aCopy(), 0, entries);
      const found = new Set<string>();
      let cursor: string | null = null;
      let offset = 0n;
      let pages = 0;
      do {
        const page: { nextOffset: bigint | null; entries: readonly { key: Buffer }[] } & {
          cursor: string | null;
        } = await copy.scan(cursor, 100);
        assert.equal(page.nextOffset, offset);
        for (const { key } of page.entries) found.add(key.toString());
        ({ cursor } = page);
        pages++;
        // Odd keys go, new ones come, those that stay get new values.
        const i = Number(offset) * 2;
        const next = { [`key-${String(i + 1)}`]: null, [`new-${String(i)}`]: "1" };
        await copy.apply(piece(offset, offset + 1n, { ...next, [`key-${String(i)}`]: "2" }));
        offset++;
      } while (cursor !== null);
      assert.ok(pages > 5, "it must be a scan of several pages");
      const stayed = Object.keys(entries).filter((_, i) => i % 2 === 0);
      assert.deepEqual(
        stayed.filter((key) => !found.has(key)),
        [],
      );
    });

    test("a scan sees every entry of a copy that was rebuilt in the midst of it", async () => {
      const copy = aCopy();
      const rebuild = await copy.rebuild();
      await rebuild.put(changes(many(3_000, "new")));
      // What is scanned first is younger than what replaces it.
      await begin(copy, 0, many(2_000, "old"));
      const first = await copy.scan(null, 500);
      assert.notEqual(first.cursor, null);
      const second = await copy.scan(first.cursor, 500);
      assert.notEqual(second.cursor, null);
      await rebuild.finish(at(9));
      const found = new Set<string>();
      let { cursor } = second;
      while (cursor !== null) {
        const page: Awaited<ReturnType<StateCopy["scan"]>> = await copy.scan(cursor, 500);
        assert.equal(page.nextOffset, 9n);
        for (const { key, value } of page.entries) {
          assert.equal(value.toString(), "new");
          found.add(key.toString());
        }
        ({ cursor } = page);
      }
      assert.equal(found.size, 3_000);
    });

    test("a copy that was removed is none, until it is made anew", async () => {
      const copy = await begin(aCopy(), 7, { a: "1" });
      await copy.remove();
      await copy.remove();
      assert.equal(await copy.position(), null);
      assert.equal(await copy.apply(piece(7, 8, { a: "2" })), "refused");
      assert.deepEqual(await look(copy, "a"), [null, null]);
      await begin(copy, 9, { a: "3" });
      assert.deepEqual(await look(copy, "a"), [9n, "3"]);
    });

    test("it is fit to hold state", async () => {
      assert.deepEqual(await copies.problems(), []);
    });
  });
}
