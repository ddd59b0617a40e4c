import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  assignPartitions,
  type Claimant,
} from "../../../../src/engine/clients/kafkajs/group/assigner.ts";

const partitionsMax = 40;
const claimants = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 9 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({
          id: fc.constant(id),
          owned: fc.array(fc.integer({ min: -2, max: partitionsMax + 2 }), { maxLength: 20 }),
        }),
      ),
    ),
  );
const partitionCounts = fc.integer({ min: 0, max: partitionsMax });

const everyIndex = (partitions: number): number[] =>
  Array.from({ length: partitions }, (_, index) => index);

test("every index goes to exactly one member, and every member has an entry", () => {
  fc.assert(
    fc.property(claimants, partitionCounts, (members, partitions) => {
      const assigned = assignPartitions(members, partitions);
      assert.deepEqual([...assigned.keys()].sort(), members.map(({ id }) => id).sort());
      const all = [...assigned.values()].flat().sort((a, b) => a - b);
      assert.deepEqual(all, everyIndex(partitions));
    }),
  );
});

test("no member has more than one index more than another", () => {
  fc.assert(
    fc.property(claimants, partitionCounts, (members, partitions) => {
      const sizes = [...assignPartitions(members, partitions).values()].map((i) => i.length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
    }),
  );
});

test("the same members get the same again, in whatever order they are told", () => {
  fc.assert(
    fc.property(claimants, partitionCounts, (members, partitions) => {
      const first = assignPartitions(members, partitions);
      const owners: Claimant[] = [...first].map(([id, owned]) => ({ id, owned })).reverse();
      const second = assignPartitions(owners, partitions);
      for (const [id, indexes] of first) assert.deepEqual(second.get(id), indexes);
    }),
  );
});

test("a member that joins moves only what balance asks for", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), partitionCounts, (count, partitions) => {
      const ids = Array.from({ length: count }, (_, i) => `member-${String(i)}`);
      const before = assignPartitions(
        ids.map((id) => ({ id, owned: [] })),
        partitions,
      );
      const owners: Claimant[] = ids.map((id) => ({ id, owned: before.get(id) ?? [] }));
      const after = assignPartitions([...owners, { id: "late", owned: [] }], partitions);
      const kept = owners.reduce(
        (sum, { id, owned }) => sum + owned.filter((i) => after.get(id)?.includes(i)).length,
        0,
      );
      assert.equal(partitions - kept, after.get("late")?.length);
    }),
  );
});

test("an index that two members claim goes to one of them", () => {
  const assigned = assignPartitions(
    [
      { id: "a", owned: [0, 1] },
      { id: "b", owned: [1, 2] },
    ],
    4,
  );
  assert.deepEqual(assigned.get("a"), [0, 1]);
  assert.deepEqual(assigned.get("b"), [2, 3]);
});
