// The index of a copy in Redis: one that was taken away is noticed before anything of it is believed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { StateCopies } from "../../../src/engine/core/state.ts";
import { dues } from "../../contract/due-index.ts";
import { aStore, at, begin, changes, hasCode, look, piece } from "../../contract/state-copy.ts";
import { ownRedis, type OwnRedis } from "./own-redis.ts";

const isLost = hasCode("MILL_STATE_REBUILD_LOST", "retry");

let redis: OwnRedis;
let direct: StateCopies;
before(async () => {
  redis = await ownRedis();
  direct = redis.copies();
});
after(() => redis.close());

test("a copy of 0.1.0, which has no index, is none, until it is made anew", async () => {
  const store = aStore();
  const copy = direct.copy(store);
  const [key, entry] = [redis.keyOf(store), { a: "1" }];
  await redis.admin.hset(key, { "\0v": "1", "\0p": "7", "\0t": "1000", ...entry });
  assert.equal(await copy.position(), null);
  assert.equal((await copy.read([Buffer.from("a")])).nextOffset, null);
  assert.equal((await copy.scan(null, 10)).nextOffset, null);
  assert.deepEqual((await dues(copy))[0], null);
  assert.equal(await copy.apply(piece(7, 8, { a: "2" })), "refused");
  assert.deepEqual(await redis.admin.hget(key, "a"), "1");
  await begin(copy, 9, { a: ["2", 5] });
  assert.deepEqual(
    [await look(copy, "a"), await dues(copy)],
    [
      [9n, "2"],
      [9n, "a@5", null],
    ],
  );
});

const takenAway: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
  whole: (index) => redis.admin.unlink(index),
  "but for one member": (index) => redis.admin.zrem(index, "a"),
  "with another type in its place": (index) => redis.admin.set(index, "1"),
};
for (const [how, take] of Object.entries(takenAway))
  test(`a copy whose index was taken away, ${how}, is none, until it is made anew`, async () => {
    const store = aStore();
    const copy = await begin(direct.copy(store), 0, { a: ["1", 5], b: ["1", 6], c: "1" });
    await take(`${redis.keyOf(store)}:due`);
    assert.equal(await copy.position(), null);
    assert.equal((await copy.due(10, 10, 0)).nextOffset, null);
    assert.equal(await copy.apply(piece(0, 5, { c: "2" })), "refused");
    assert.deepEqual(await look(copy, "a", "c"), [0n, "1", "1"]);
    await begin(copy, 9, { a: ["1", 5] });
    assert.deepEqual(await dues(copy), [9n, "a@5", null]);
  });

test("a member that somebody adds to an index is noticed too", async () => {
  const store = aStore();
  const copy = await begin(direct.copy(store), 0, { a: "1" });
  await redis.admin.zadd(`${redis.keyOf(store)}:due`, 1, "a");
  assert.equal(await copy.position(), null);
  assert.equal((await copy.due(10, 10, 0)).nextOffset, null);
});

test("a rebuild is never put in its place without its index", async () => {
  const store = aStore();
  const copy = await begin(direct.copy(store), 3, { a: ["old", 4] });
  const rebuild = await copy.rebuild();
  await rebuild.put(changes({ a: ["new", 5] }));
  const index = (await redis.admin.keys(`${redis.keyOf(store)}:rebuild:*`)).filter((key) =>
    key.endsWith(":due"),
  );
  assert.equal(await redis.admin.unlink(...index), 1);
  await assert.rejects(rebuild.finish(at(9)), isLost);
  await assert.rejects(rebuild.put(changes({ b: ["new", 5] })), isLost);
  assert.deepEqual(await dues(copy), [3n, "a@4", null]);
});
