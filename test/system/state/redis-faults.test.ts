// What goes wrong between us and a Redis that holds copies: each fault is seen to fire, nothing is there in part, and what
// is behind is never taken for the truth.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { inspect } from "node:util";
import { DependencyError } from "../../../src/engine/core/errors.ts";
import type { StateCopies, StateCopy } from "../../../src/engine/core/state.ts";
import { startService, stopService } from "../../../src/stack/stack.ts";
import {
  aStore,
  at,
  begin,
  changes,
  hasCode,
  look,
  piece,
  scanAll,
} from "../../contract/state-copy.ts";
import { dues } from "../../contract/due-index.ts";
import { eventually } from "../../support/eventually.ts";
import { ownRedis, type OwnRedis } from "./own-redis.ts";

const isAway = hasCode("MILL_REDIS_UNAVAILABLE", "retry");
const isFull = hasCode("MILL_REDIS_MEMORY", "retry");
const isLost = hasCode("MILL_STATE_REBUILD_LOST", "retry");

let redis: OwnRedis;
let direct: StateCopies;
let proxied: StateCopies;
before(async () => {
  redis = await ownRedis();
  direct = redis.copies();
  proxied = redis.copiesThroughProxy();
});
after(() => redis.close());

/** The first answer of a worker whose connection was cut: it comes up by itself. */
const again = <T>(work: () => Promise<T>): Promise<NonNullable<T>> =>
  eventually("an answer", async () => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof DependencyError) return null;
      throw error;
    }
  });

const aThousand = (value: string, count = 1_000): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`key-${String(i)}`, value]));

describe("lost replies and requests", () => {
  const cutAt = (mark: string, forward: boolean): void =>
    redis.proxy.cutOnce({ direction: "to-server", at: mark, forward });

  test("a piece whose reply is lost is an error, and then already there", async () => {
    const copy = await begin(proxied.copy(aStore()), 0);
    // From now on Redis knows the script.
    assert.equal(await copy.apply(piece(0, 3, { a: "0" })), "applied");
    const cuts = redis.proxy.cuts;
    cutAt("evalsha", true);
    await assert.rejects(copy.apply(piece(3, 5, { a: "1" })), isAway);
    assert.equal(redis.proxy.cuts, cuts + 1);
    assert.equal(await again(() => copy.apply(piece(3, 5, { a: "1" }))), "already");
    assert.deepEqual(await look(copy, "a"), [5n, "1"]);
  });

  test("a piece that is lost is an error, and then applied: it is never sent again by itself", async () => {
    const store = aStore();
    const copy = await begin(proxied.copy(store), 0);
    const cuts = redis.proxy.cuts;
    cutAt("evalsha", false);
    await assert.rejects(copy.apply(piece(0, 5, { a: "1" })), isAway);
    assert.equal(redis.proxy.cuts, cuts + 1);
    await again(() => proxied.copy(aStore()).read([]));
    assert.deepEqual(await look(direct.copy(store), "a"), [0n, null]);
    assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "applied");
  });

  test("a put that is cut off in the middle is made again, and the copy is whole", async () => {
    const copy = proxied.copy(aStore());
    const rebuild = await copy.rebuild();
    await rebuild.put(changes(aThousand("first")));
    const entries = { ...aThousand("second", 9_000), "key-2500": "mark", last: "one" };
    for (const forward of [true, false]) {
      const cuts = redis.proxy.cuts;
      cutAt("mark", forward);
      await assert.rejects(rebuild.put(changes(entries)), isAway);
      assert.equal(redis.proxy.cuts, cuts + 1);
    }
    await again(async () => (await rebuild.put(changes(entries))) ?? true);
    await rebuild.put(changes({ last: "two" }));
    await rebuild.finish(at(9));
    assert.deepEqual(Object.fromEntries(await scanAll(copy, 1_000)), { ...entries, last: "two" });
  });

  test("a rebuild whose last reply is lost is finished again, once", async () => {
    const copy = await begin(proxied.copy(aStore()), 3, { a: "old" });
    const rebuild = await copy.rebuild();
    await rebuild.put(changes({ a: "new" }));
    const cuts = redis.proxy.cuts;
    // `begin` has finished one, so Redis knows the script.
    cutAt("evalsha", true);
    await assert.rejects(rebuild.finish(at(9)), isAway);
    assert.equal(redis.proxy.cuts, cuts + 1);
    await again(async () => (await rebuild.finish(at(9))) ?? true);
    assert.deepEqual(await look(copy, "a"), [9n, "new"]);
  });

  test("a rebuild that is finished in vain after a put that failed does not take the copy's place", async () => {
    const copy = await begin(proxied.copy(aStore()), 3, { a: "old" });
    const rebuild = await copy.rebuild();
    cutAt("mark", true);
    await assert.rejects(rebuild.put(changes({ a: "mark" })), isAway);
    await again(() => copy.position());
    await assert.rejects(rebuild.finish(at(9)), isLost);
    assert.deepEqual(await look(copy, "a"), [3n, "old"]);
  });

  test("a silent network is an error within the deadline, and is over by itself", async () => {
    const copy = await begin(redis.copiesThroughProxy({ commandTimeoutMs: 300 }).copy(aStore()), 7);
    redis.proxy.silence(true);
    await assert.rejects(copy.position(), isAway);
    await assert.rejects(copy.position(), isAway);
    redis.proxy.silence(false);
    assert.deepEqual(await again(() => copy.position()), at(7));
  });

  test("an error says nothing of keys and values, wherever one looks in it", async () => {
    const copy = await begin(proxied.copy(aStore()), 0);
    cutAt("top-secret", true);
    const failure = await copy.apply(piece(0, 5, { "a-key": "top-secret" })).then(
      () => assert.fail("it must fail"),
      (error: unknown) => error,
    );
    assert.doesNotMatch(inspect(failure, { depth: 9, showHidden: true }), /top-secret|a-key/);
  });
});

describe("a copy that went back, or is gone", () => {
  test("wiped between two pieces: the second is refused, and nothing of it is there", async () => {
    const store = aStore();
    const copy = await begin(direct.copy(store), 0);
    assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "applied");
    await redis.admin.flushall();
    assert.deepEqual(await look(copy, "a"), [null, null]);
    assert.equal(await copy.apply(piece(5, 9, { b: "2" })), "refused");
    assert.equal(await redis.admin.exists(redis.keyOf(store)), 0);
    assert.equal(await copy.position(), null);
  });

  test("an older copy that was restored says so, refuses what it is too old for, and is rolled forward", async () => {
    const store = aStore();
    const copy = await begin(direct.copy(store), 0);
    await copy.apply(piece(0, 5, { a: "1" }));
    const older = await redis.admin.dumpBuffer(redis.keyOf(store));
    await copy.apply(piece(5, 9, { a: "2" }));
    await redis.admin.restore(redis.keyOf(store), 0, older, "REPLACE");
    assert.deepEqual(await look(copy, "a"), [5n, "1"]);
    assert.equal(await copy.apply(piece(9, 12, { b: "3" })), "refused");
    assert.deepEqual(await look(copy, "a", "b"), [5n, "1", null]);
    assert.equal(await copy.apply(piece(5, 9, { a: "2" })), "applied");
    assert.equal(await copy.apply(piece(9, 12, { b: "3" })), "applied");
    assert.deepEqual(await look(copy, "a", "b"), [12n, "2", "3"]);
  });

  test("restored between two pieces of one checkpoint: no position covers what is missing", async () => {
    const store = aStore();
    const copy = await begin(direct.copy(store), 0);
    const empty = await redis.admin.dumpBuffer(redis.keyOf(store));
    assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "applied");
    await redis.admin.restore(redis.keyOf(store), 0, empty, "REPLACE");
    assert.equal(await copy.apply(piece(5, 9, { b: "2" })), "refused");
    assert.deepEqual(await look(copy, "a", "b"), [0n, null, null]);
  });

  test("a zombie's late piece changes nothing, also when it comes out of a stopped Redis", async () => {
    const store = aStore();
    const zombie = redis.copies({ commandTimeoutMs: 200 }).copy(store);
    const owner = await begin(direct.copy(store), 0);
    await zombie.position();
    process.kill(redis.pid, "SIGSTOP");
    try {
      await assert.rejects(zombie.apply(piece(0, 5, { a: "1" })), isAway);
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
    // Whether the zombie's came first or not: this is the state after it.
    assert.notEqual(await again(() => owner.apply(piece(0, 5, { a: "1" }))), "refused");
    assert.equal(await owner.apply(piece(5, 9, { a: "2", b: "2" })), "applied");
    assert.equal(await again(() => zombie.apply(piece(0, 5, { a: "1" }))), "already");
    assert.equal(await zombie.apply(piece(5, 20, { a: "zombie" })), "refused");
    assert.deepEqual(await look(owner, "a", "b"), [9n, "2", "2"]);
  });

  test("wiped during a rebuild: nothing of it becomes a copy", async () => {
    const store = aStore();
    const copy = direct.copy(store);
    const [one, two] = [await copy.rebuild(), await copy.rebuild()];
    await one.put(changes({ a: "1" }));
    await two.put(changes({ a: "1" }));
    await redis.admin.flushall();
    await assert.rejects(one.put(changes({ b: "1" })), isLost);
    await assert.rejects(one.finish(at(9)), isLost);
    await assert.rejects(two.finish(at(9)), isLost);
    assert.deepEqual(await redis.admin.keys("*"), []);
    await begin(copy, 9, { a: "1", b: "1" });
    assert.deepEqual(await look(copy, "a", "b"), [9n, "1", "1"]);
  });

  test("a rebuild that lost its last piece does not take the old copy's place", async () => {
    const store = aStore();
    const copy = await begin(direct.copy(store), 3, { a: "old" });
    const rebuild = await copy.rebuild();
    await rebuild.put(changes({ a: "new" }));
    const [key = ""] = await redis.admin.keys(`${redis.keyOf(store)}:rebuild:*`);
    const older = await redis.admin.dumpBuffer(key);
    await rebuild.put(changes({ b: "new" }));
    await redis.admin.restore(key, 60_000, older, "REPLACE");
    await assert.rejects(rebuild.finish(at(9)), isLost);
    await assert.rejects(rebuild.put(changes({ c: "new" })), isLost);
    assert.deepEqual(await look(copy, "a", "b"), [3n, "old", null]);
  });

  test("killed and started again: the copy is as it was, and the connection comes up by itself", async () => {
    const copy = await begin(direct.copy(aStore()), 0);
    assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "applied");
    await stopService(redis.dir, "redis", { signal: "SIGKILL" });
    await assert.rejects(copy.apply(piece(5, 9, { a: "2" })), isAway);
    await assert.rejects(copy.read([]), isAway);
    await startService(redis.dir, "redis");
    assert.equal(await again(() => copy.apply(piece(5, 9, { a: "2" }))), "applied");
    assert.deepEqual(await look(copy, "a"), [9n, "2"]);
  });
});

describe("a rebuild's key", () => {
  const keysOf = (copy: string): Promise<string[]> => redis.admin.keys(`${copy}:rebuild:*`);

  test("vanishes by itself when it is abandoned, and lives on while it grows", async () => {
    const store = aStore();
    const key = redis.keyOf(store);
    const hasty = redis.copies({ rebuildTtlMs: 2_000 }).copy(store);
    const abandoned = await hasty.rebuild();
    const [empty = ""] = await keysOf(key);
    assert.ok((await redis.admin.pttl(empty)) > 0);
    await abandoned.put(changes({ a: ["1", 5] }));
    assert.equal((await keysOf(key)).length, 2);
    await eventually("the key to vanish", async () => (await keysOf(key)).length === 0 || null);
    await assert.rejects(abandoned.finish(at(9)), isLost);

    const patient = await redis.copies({ rebuildTtlMs: 60_000 }).copy(store).rebuild();
    const [name = ""] = await keysOf(key);
    await redis.admin.pexpire(name, 20_000);
    await patient.put(changes({ a: ["1", 5] }));
    for (const own of [name, `${name}:due`]) assert.ok((await redis.admin.pttl(own)) > 20_000, own);
    await patient.finish(at(9));
    for (const own of [key, `${key}:due`]) assert.equal(await redis.admin.pttl(own), -1);
    assert.deepEqual(await keysOf(key), []);
  });

  test("takes large values in pieces of some megabytes, which servers with a limit accept", async (t) => {
    await redis.admin.config("SET", "client-query-buffer-limit", "8mb");
    t.after(() => redis.admin.config("SET", "client-query-buffer-limit", "1gb"));
    const copy = direct.copy(aStore());
    const large = "x".repeat(1_000_000);
    await begin(
      copy,
      9,
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${String(i)}`, large])),
    );
    assert.equal((await scanAll(copy, 5)).size, 20);
  });

  test("is removed when it is given up", async () => {
    const store = aStore();
    const rebuild = await direct.copy(store).rebuild();
    await rebuild.put(changes({ a: ["1", 5] }));
    assert.equal((await keysOf(redis.keyOf(store))).length, 2);
    await rebuild.discard();
    assert.deepEqual(await keysOf(redis.keyOf(store)), []);
  });
});

describe("a Redis without memory", () => {
  const full = (): Promise<unknown> => redis.admin.config("SET", "maxmemory", "1");
  const roomy = (): Promise<unknown> => redis.admin.config("SET", "maxmemory", "0");
  after(roomy);

  test("refuses a piece whole, goes on reading, and takes it when there is room", async () => {
    const copy = await begin(direct.copy(aStore()), 0, { a: ["1", 5], b: ["1", 6], c: ["1", 7] });
    await full();
    const next = piece(0, 5, { a: "2", b: null, d: ["2", 3] });
    await assert.rejects(copy.apply(next), isFull);
    await assert.rejects(copy.apply(piece(0, 5, { c: null })), isFull);
    assert.deepEqual(await look(copy, "a", "b", "c", "d"), [0n, "1", "1", "1", null]);
    assert.deepEqual(await dues(copy), [0n, "a@5 b@6 c@7", null]);
    await assert.rejects(copy.rebuild(), isFull);
    await roomy();
    assert.equal(await copy.apply(next), "applied");
    assert.deepEqual(await look(copy, "a", "b", "c", "d"), [5n, "2", null, "1", "2"]);
    assert.deepEqual(await dues(copy), [5n, "d@3 c@7", null]);
  });

  test("refuses a rebuild's pieces whole, and lets it be finished: that makes room", async () => {
    const copy = await begin(direct.copy(aStore()), 0, { a: ["old", 1] });
    const rebuild = await copy.rebuild();
    await rebuild.put(changes({ a: ["new", 2] }));
    await full();
    await assert.rejects(rebuild.put(changes({ b: ["new", 1] })), isFull);
    await roomy();
    await rebuild.put(changes({ b: ["new", 1] }));
    await full();
    await rebuild.finish(at(9));
    assert.deepEqual(await dues(copy), [9n, "b@1 a@2", null]);
    assert.deepEqual(await look(copy, "a", "b"), [9n, "new", "new"]);
    await copy.remove();
    assert.equal(await copy.position(), null);
  });
});

describe("a copy that somebody else has changed", () => {
  const ways = (copy: StateCopy): readonly (() => Promise<unknown>)[] => [
    () => copy.position(),
    () => copy.read([Buffer.from("a")]),
    () => copy.scan(null, 10),
    () => copy.due(Infinity, 10, 0),
    () => copy.apply(piece(0, 5, { a: "2" })),
  ];

  test("another type is told with its key, left as it is, and replaced by a rebuild", async () => {
    const store = aStore();
    const copy = direct.copy(store);
    await redis.admin.set(redis.keyOf(store), "top-secret");
    for (const way of ways(copy))
      await assert.rejects(way(), (error: Error) => {
        assert.ok(error.message.includes(redis.keyOf(store)), error.message);
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /top-secret/);
        return hasCode("MILL_STATE_TYPE")(error);
      });
    const lost = await copy.rebuild();
    await lost.discard();
    await assert.rejects(lost.finish(at(9)), isLost);
    assert.equal(await redis.admin.get(redis.keyOf(store)), "top-secret");
    await begin(copy, 9, { a: "1" });
    assert.deepEqual(await look(copy, "a"), [9n, "1"]);
  });

  for (const [what, field, value] of [
    ["another format version", "\0v", "3"],
    ["a version that is none", "\0v", "{garbage\x1b[2J"],
    ["no format version", "\0v", null],
    ["a position that is none", "\0p", "0x10"],
    ["a position with a zero in front", "\0p", "000000000000005"],
    ["a position beyond every offset", "\0p", "9".repeat(40)],
  ] as const)
    test(`${what} is told, and left as it is`, async () => {
      const store = aStore();
      const copy = await begin(direct.copy(store), 0, { a: "1" });
      const key = redis.keyOf(store);
      if (value === null) await redis.admin.hdel(key, field);
      else await redis.admin.hset(key, field, value);
      const found = await redis.admin.hgetall(key);
      const isOfRelease = value === "3";
      for (const way of ways(copy))
        await assert.rejects(way(), (error: Error) => {
          const mend = isOfRelease ? `redis-cli UNLINK '${key}'` : key;
          assert.ok(error.message.includes(mend), error.message);
          assert.doesNotMatch(error.message, /garbage|0x10/);
          return hasCode(isOfRelease ? "MILL_STATE_FORMAT" : "MILL_STATE_COPY")(error);
        });
      assert.deepEqual(await redis.admin.hgetall(key), found);
      await begin(copy, 9, { a: "1" });
      assert.deepEqual(await look(copy, "a"), [9n, "1"]);
    });

  test("a time of the position that is none is told", async () => {
    for (const time of ["soon", "1e999", "", "9".repeat(17)]) {
      const store = aStore();
      const copy = await begin(direct.copy(store), 0, { a: "1" });
      await redis.admin.hset(redis.keyOf(store), "\0t", time);
      await assert.rejects(copy.position(), hasCode("MILL_STATE_COPY"));
    }
  });

  test("an index of what is never due is told", async () => {
    for (const [score, member] of [
      ["inf", "a"],
      ["-inf", "a"],
      ["0.5", "a"],
      ["1e300", "a"],
      ["5", "\0p"],
    ] as const) {
      const store = aStore();
      const copy = await begin(direct.copy(store), 0, { a: ["1", 5], b: ["1", 6] });
      const index = `${redis.keyOf(store)}:due`;
      await redis.admin.zrem(index, "a");
      await redis.admin.zadd(index, score, member);
      await assert.rejects(copy.due(Infinity, 10, 0), hasCode("MILL_STATE_COPY"), score);
      if (member === "a")
        await assert.rejects(copy.scan(null, 10), hasCode("MILL_STATE_COPY"), score);
    }
    const large = await begin(direct.copy(aStore()), 0, { a: ["1", Number.MAX_SAFE_INTEGER] });
    assert.deepEqual(await dues(large), [0n, `a@${String(Number.MAX_SAFE_INTEGER)}`, null]);
  });

  test("a copy that lost its position alone is none", async () => {
    const store = aStore();
    const copy = await begin(direct.copy(store), 0, { a: "1" });
    await redis.admin.hdel(redis.keyOf(store), "\0p");
    assert.equal(await copy.position(), null);
    assert.equal((await copy.read([])).nextOffset, null);
    assert.equal(await copy.apply(piece(0, 5, { a: "2" })), "refused");
  });

  test("scripts that Redis has forgotten are sent again, also in the midst of a rebuild", async () => {
    const copy = await begin(direct.copy(aStore()), 0);
    await redis.admin.script("FLUSH");
    assert.equal(await copy.apply(piece(0, 5, { a: "1" })), "applied");
    const rebuild = await copy.rebuild();
    const entries = aThousand("1", 20_000);
    const put = rebuild.put(changes(entries));
    for (let i = 0; i < 5; i++) await redis.admin.script("FLUSH");
    await put;
    await rebuild.finish(at(9));
    assert.equal((await scanAll(copy, 5_000)).size, 20_000);
  });
});
