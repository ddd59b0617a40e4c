import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assignPartitions, type MemberClaim } from "../../../src/engine/core/assignment.ts";

const member = (id: string, owned: readonly number[] = []): MemberClaim => ({
  id,
  identity: `identity-${id}`,
  owned,
});
const shares = (members: readonly MemberClaim[], partitions: number): Record<string, number[]> =>
  Object.fromEntries(assignPartitions(members, partitions));

test("spreads partitions evenly over members that had none", () => {
  assert.deepEqual(shares([member("a"), member("b")], 5), { a: [0, 1, 4], b: [2, 3] });
});

test("takes from those that have too much only what a newcomer needs", () => {
  const members = [member("a", [0, 1, 2]), member("b", [3, 4, 5]), member("c")];
  assert.deepEqual(shares(members, 6), { a: [0, 1], b: [3, 4], c: [2, 5] });
});

test("lets a member keep the odd one that it has", () => {
  assert.deepEqual(shares([member("a", [0, 1]), member("b", [2, 3, 4])], 5), {
    a: [0, 1],
    b: [2, 3, 4],
  });
});

test("gives a partition that two members claim to one of them", () => {
  const members = [member("a", [0, 1]), member("b", [1, 2])];
  assert.deepEqual(shares(members, 3), { a: [0, 1], b: [2] });
});

test("leaves members without partitions when there are more members", () => {
  assert.deepEqual(shares([member("a"), member("b", [0])], 1), { a: [], b: [0] });
  assert.deepEqual(shares([], 3), {});
});

const claims = fc.uniqueArray(fc.nat(30), { maxLength: 9 }).chain((ids) =>
  fc.tuple(
    ...ids.map((id) =>
      fc.record({
        id: fc.constant(`m${String(id)}`),
        identity: fc.constantFrom("x", "y", "z"),
        owned: fc.array(fc.integer({ min: -2, max: 40 }), { maxLength: 20 }),
      }),
    ),
  ),
);

test("gives each partition to one member, balanced within one, whatever was claimed", () => {
  fc.assert(
    fc.property(claims, fc.nat(40), (members, partitions) => {
      const assigned = assignPartitions(members, partitions);
      if (members.length === 0) return assigned.size === 0;
      const all = [...assigned.values()].flat().sort((a, b) => a - b);
      assert.deepEqual(all, [...Array(partitions).keys()]);
      const sizes = [...assigned.values()].map((share) => share.length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      return assigned.size === members.length;
    }),
  );
});

test("does not depend on the order of members", () => {
  fc.assert(
    fc.property(claims, fc.nat(40), (members, partitions) => {
      const reversed = shares([...members].reverse(), partitions);
      assert.deepEqual(reversed, shares(members, partitions));
    }),
  );
});

test("moves nothing when nobody came or went, and no more than it must when somebody did", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.nat(40), fc.boolean(), (count, n, joins) => {
      const ids = Array.from({ length: count }, (_, i) => `m${String(i)}`);
      const before = assignPartitions(
        ids.map((id) => member(id)),
        n,
      );
      const kept = ids.map((id) => member(id, before.get(id) ?? []));
      assert.deepEqual(assignPartitions(kept, n), before);
      const changed = joins ? [...kept, member("new")] : kept.slice(1);
      const after = assignPartitions(changed, n);
      const moved = changed.flatMap(({ id, owned }) =>
        owned.filter((partition) => after.get(id)?.includes(partition) !== true),
      );
      assert.equal(moved.length, joins ? (after.get("new")?.length ?? 0) : 0);
    }),
  );
});
