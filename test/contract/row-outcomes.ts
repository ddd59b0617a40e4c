// The fate of each row: written, or no newer than the one that stood there. The answer is that of rows that come one by
// one, wherever batches end. In memory and on Postgres alike.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import type { SinkRow, TableStore } from "../../src/engine/core/ports.ts";
import { aCommit, aRow, aTask, type TableStoreFixture } from "./table-store.ts";

interface Given {
  readonly key: string;
  readonly version: number;
  /** The check of the table refuses it. */
  readonly isBad?: boolean;
}

/** Which rows come out as newer, worked out one by one. */
function expected(given: readonly Given[]): { fates: string[]; last: Map<string, number> } {
  const stored = new Map<string, number>();
  const last = new Map<string, number>();
  const fates = given.map(({ key, version, isBad }, i) => {
    if (isBad === true) return "refused";
    if (version < (stored.get(key) ?? -1)) return "stale";
    stored.set(key, version);
    last.set(key, i);
    return "written";
  });
  return { fates, last };
}

export function rowOutcomeContract(name: string, make: () => Promise<TableStoreFixture>): void {
  describe(`outcomes of rows: ${name}`, () => {
    let fixture: TableStoreFixture;
    before(async () => {
      fixture = await make();
    });
    after(() => fixture.close());

    /** Commits the rows in batches of this size; the fates, and which row stands for each key. */
    async function committed(store: TableStore, given: readonly Given[], size: number) {
      const task = aTask();
      const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
      const rows = given.map(({ key, version, isBad }, i): SinkRow => {
        const amount = isBad === true ? -1 : i;
        return aRow(i, `${task.topic}-${key}`, { amount, updatedAt: 1_000 + version });
      });
      const fates = new Array<string>(given.length).fill("none");
      for (let at = 0; at < rows.length; at += size) {
        const batch = rows.slice(at, at + size);
        const facts = { from: BigInt(at), to: BigInt(at + batch.length), rows: batch };
        const result = await store.commit(aCommit(task, epoch, facts));
        for (const fate of ["written", "stale", "refused"] as const)
          for (const index of result[fate]) fates[index] = fate;
      }
      const keys = [...new Set(given.map(({ key }) => key))];
      const found = await fixture.rows(keys.map((key) => `${task.topic}-${key}`));
      const last = new Map(found.map((r) => [r.orderId.split("-").at(-1) ?? "", Number(r.amount)]));
      return { fates, last };
    }

    const orders: [string, readonly number[]][] = [
      ["in order", [1, 2, 3]],
      ["with ties", [1, 1, 1]],
      ["backwards", [3, 2, 1]],
      ["one that is late", [1, 3, 2, 4]],
      ["two that were older than what stood there", [5, 3, 4, 6]],
    ];
    for (const [what, versions] of orders)
      test(`${what}: the same in batches of 1, 2 and 100`, async () => {
        const given = versions.map((version) => ({ key: "a", version }));
        const want = expected(given);
        for (const size of [1, 2, 3, 100])
          assert.deepEqual(await committed(fixture.store(), given, size), want, String(size));
      });

    test("a row that is older than what is stored is stale, also under a newer one of its batch", async () => {
      const given = [5, 3, 4, 5, 6].map((version) => ({ key: "a", version }));
      // The first alone, then the four others together.
      for (const size of [1, 4]) {
        const first = await committed(fixture.store(), given, size);
        assert.deepEqual(first.fates, ["written", "stale", "stale", "written", "written"]);
      }
    });

    const row: fc.Arbitrary<Given> = fc.record({
      key: fc.constantFrom("a", "b", "c"),
      version: fc.integer({ min: 0, max: 6 }),
    });
    test("in any order, and in batches of any size", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(row, { minLength: 1, maxLength: 12 }),
          fc.integer({ min: 1, max: 12 }),
          async (given, size) =>
            assert.deepEqual(await committed(fixture.store(), given, size), expected(given)),
        ),
        { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
      );
    });

    test("a refused row takes nothing away from the others", async () => {
      const given = [1, 3, 2].map((version, i) => ({ key: "a", version, isBad: i === 1 }));
      for (const size of [1, 3])
        assert.deepEqual(await committed(fixture.store(), given, size), expected(given));
    });
  });
}
