// The index of what is due in a StateCopy, in memory and in Redis alike.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { StateCopies, StateCopy } from "../../src/engine/core/state.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import {
  aStore,
  at,
  begin,
  bytes,
  changes,
  look,
  piece,
  type StateCopiesFixture,
  type Text,
} from "./state-copy.ts";

/** Keys of the index in words, and the due behind them. */
export async function dues(
  copy: StateCopy,
  before = Infinity,
  most = 100,
  behind = 0,
): Promise<unknown[]> {
  const { nextOffset, keys, nextMs } = await copy.due(before, most, behind);
  const words = keys.map(({ key, dueMs }) => `${key.toString("latin1")}@${String(dueMs)}`);
  return [nextOffset, words.join(" "), nextMs];
}

export function dueIndexContract(name: string, open: () => Promise<StateCopiesFixture>): void {
  describe(`the index of a copy ${name}`, () => {
    let fixture: StateCopiesFixture;
    let copies: StateCopies;
    const used: StateCopy[] = [];
    const aCopy = (): StateCopy => {
      const copy = copies.copy(aStore());
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

    test("what is due is found in the order of due and key, so many keys at most", async () => {
      const copy = await begin(aCopy(), 0, { x: ["1", 50], c: ["1", 70], e: "1" });
      const more = { a: ["1", 70], d: ["1", 60], b: ["1", 70] } as const;
      assert.equal(await copy.apply(piece(0, 5, more)), "applied");
      assert.deepEqual(await dues(copy), [5n, "x@50 d@60 a@70 b@70 c@70", null]);
      assert.deepEqual(await dues(copy, 70), [5n, "x@50 d@60", 70]);
      assert.deepEqual(await dues(copy, 70.5, 3), [5n, "x@50 d@60 a@70", 70]);
      assert.deepEqual(await dues(copy, 60, 0), [5n, "", 50]);
      assert.deepEqual(await dues(copy, 50), [5n, "", 50]);
      assert.deepEqual(await dues(copy, -Infinity), [5n, "", 50]);
    });

    test("keys behind those that are known are found, in the same order", async () => {
      const copy = await begin(aCopy(), 0, { x: ["1", 50], c: ["1", 70], e: "1" });
      const more = { a: ["1", 70], d: ["1", 60], b: ["1", 70] } as const;
      assert.equal(await copy.apply(piece(0, 5, more)), "applied");
      assert.deepEqual(await dues(copy, 71, 2, 0), [5n, "x@50 d@60", 70]);
      assert.deepEqual(await dues(copy, 71, 2, 2), [5n, "a@70 b@70", 70]);
      assert.deepEqual(await dues(copy, 70, 2, 1), [5n, "d@60", 70]);
      assert.deepEqual(await dues(copy, 70, 2, 2), [5n, "", 70]);
      assert.deepEqual(await dues(copy, 71, 2, 4), [5n, "c@70", null]);
      assert.deepEqual(await dues(copy, Infinity, Infinity, 5), [5n, "", null]);
      // A sooner one moves the places of all.
      assert.equal(await copy.apply(piece(5, 6, { f: ["1", 55], x: null })), "applied");
      assert.deepEqual(await dues(copy, 71, 2, 0), [6n, "f@55 d@60", 70]);
      assert.deepEqual(await dues(copy, 71, 9, 2), [6n, "a@70 b@70 c@70", null]);
    });

    test("the greatest due is found, with its position", async () => {
      const copy = await begin(aCopy(), 0, { e: "1" });
      assert.deepEqual(await copy.lastDue(), { nextOffset: 0n, dueMs: null });
      const more = { a: ["1", 70], d: ["1", 2_000_000_000_000], b: ["1", -5] } as const;
      assert.equal(await copy.apply(piece(0, 5, more)), "applied");
      assert.deepEqual(await copy.lastDue(), { nextOffset: 5n, dueMs: 2_000_000_000_000 });
      assert.equal(await copy.apply(piece(5, 6, { d: null, a: "2" })), "applied");
      assert.deepEqual(await copy.lastDue(), { nextOffset: 6n, dueMs: -5 });
      await copy.remove();
      assert.deepEqual(await copy.lastDue(), { nextOffset: null, dueMs: null });
    });

    test("a change of an entry is a change of its due, and a deletion takes it away", async () => {
      const copy = await begin(aCopy(), 0, { a: ["1", 10], b: ["1", 20], c: ["1", 30] });
      const first = { a: ["2", 40], b: "2", c: null, d: ["1", 5] } as const;
      assert.equal(await copy.apply(piece(0, 5, first)), "applied");
      assert.deepEqual(await dues(copy), [5n, "d@5 a@40", null]);
      assert.deepEqual(await look(copy, "a", "b", "c", "d"), [5n, "2", "2", null, "1"]);
      assert.equal(await copy.apply(piece(5, 6, { a: null, d: "2" })), "applied");
      assert.deepEqual(await dues(copy), [6n, "", null]);
      assert.equal(await copy.apply(piece(6, 7, { a: ["3", -8.64e15] })), "applied");
      assert.deepEqual(await dues(copy, 0), [7n, "a@-8640000000000000", null]);
    });

    test("a piece that is already there, or refused, leaves the index as it is", async () => {
      const copy = await begin(aCopy(), 0, { a: ["1", 10] });
      assert.equal(await copy.apply(piece(0, 5, { a: ["2", 20] })), "applied");
      assert.equal(await copy.apply(piece(0, 5, { a: ["1", 1], b: ["1", 1] })), "already");
      assert.equal(await copy.apply(piece(7, 8, { a: null })), "refused");
      assert.deepEqual(await dues(copy), [5n, "a@20", null]);
    });

    test("a rebuild has its own index, which takes the place of the old one with it", async () => {
      const copy = await begin(aCopy(), 7, { a: ["old", 1], b: ["old", 2] });
      const rebuild = await copy.rebuild();
      await rebuild.put(changes({ a: ["new", 5], c: ["new", 3], d: ["new", 4] }));
      await rebuild.put(changes({ d: null, c: "newer" }));
      assert.deepEqual(await dues(copy), [7n, "a@1 b@2", null]);
      await rebuild.finish(at(20));
      assert.deepEqual(await dues(copy), [20n, "a@5", null]);
      await begin(copy, 30, { z: "1" });
      assert.deepEqual(await dues(copy), [30n, "", null]);
      assert.equal(await copy.apply(piece(30, 31, { z: ["2", 9] })), "applied");
      await copy.remove();
      assert.deepEqual(await dues(copy), [null, "", null]);
    });

    test("the index of many keys, any bytes, of which many have one due", async () => {
      const copy = aCopy();
      const keys = ["", "\0", "\0p", "\0d", "\0k", "\0kp", "\0\0", "\xff\xfe", "\x01", "p"];
      for (let i = 0; i < 2_000; i++) keys.push(`key-${String(i)}`);
      const rebuild = await copy.rebuild();
      await rebuild.put(keys.map((key) => ({ key: bytes(key), value: bytes("v"), dueMs: 7 })));
      await rebuild.finish(at(1));
      const { keys: found, nextMs } = await copy.due(8, 1_500, 0);
      const inOrder = keys.map(bytes).sort(Buffer.compare);
      assert.deepEqual(
        found.map(({ key }) => key),
        inOrder.slice(0, 1_500),
      );
      assert.equal(nextMs, 7);
      const all = await copy.scan(null, 10_000);
      assert.ok(all.entries.every(({ dueMs }) => dueMs === 7));
      assert.equal((await copy.due(Infinity, Infinity, 0)).keys.length, keys.length);
    });

    test("whatever changes come, the index is that of the entries", async () => {
      const random = seededRandom(20_261_129);
      const copy = await begin(aCopy(), 0);
      const truth = new Map<string, number | null>();
      for (let round = 0; round < 60; round++) {
        const all: Record<string, Text> = {};
        for (let i = 0; i < 20; i++) {
          const key = `k${String(Math.floor(random.next() * 40))}`;
          const kind = Math.floor(random.next() * 4);
          const due = Math.floor(random.next() * 30);
          all[key] = kind === 0 ? null : kind === 1 ? "v" : ["v", due];
        }
        for (const { key, value, dueMs } of changes(all))
          if (value === null) truth.delete(String(key));
          else truth.set(String(key), dueMs);
        assert.equal(await copy.apply(piece(round, round + 1, all)), "applied");
        const want = [...truth].flatMap(([key, due]) =>
          due === null ? [] : ([[due, key]] as const),
        );
        want.sort(([a, k], [b, l]) => a - b || (k < l ? -1 : 1));
        const words = want.map(([due, key]) => `${key}@${String(due)}`);
        assert.deepEqual(await dues(copy), [BigInt(round + 1), words.join(" "), null]);
        const below = words.filter((_, i) => (want[i]?.[0] ?? 0) < 15).slice(0, 5);
        assert.equal((await dues(copy, 15, 5))[1], below.join(" "));
      }
    });
  });
}
