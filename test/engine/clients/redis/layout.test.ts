// The keys of a copy in Redis.
import assert from "node:assert/strict";
import { test } from "node:test";
import { copyKey, indexKey, rebuildKey } from "../../../../src/engine/clients/redis/layout.ts";

/** The part of a key that says its slot: between the first `{` and the first `}` behind it. */
const tagOf = (key: string): string | undefined => /\{([^}]+)\}/.exec(key)?.[1];

test("a copy, its index and a rebuild of it have one hash tag: one script may touch them on a cluster", () => {
  const id = { prefix: "ns.orders", store: "by-hour", partition: 3 };
  const copy = copyKey(id);
  const keys = [copy, indexKey(copy), rebuildKey(copy, "t1"), indexKey(rebuildKey(copy, "t1"))];
  assert.equal(new Set(keys).size, keys.length);
  assert.deepEqual([...new Set(keys.map(tagOf))], ["ns.orders:by-hour:3"]);
  assert.notEqual(tagOf(copyKey({ ...id, partition: 4 })), tagOf(copy));
  assert.throws(() => copyKey({ ...id, store: "a}b" }), /brace/);
});
