// What a run may do to the live table: replace what lay there when it was pinned, and nothing that is newer. In memory and
// on Postgres alike.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import type { SinkRow, SinkTaskId, TableStore } from "../../src/engine/core/ports.ts";
import { aCommit, aRow, aTask, type CommitFacts, type TableStoreFixture } from "./table-store.ts";

/** Where the live topic ended when a correction was pinned. */
const PINNED = 500n;

/** A row of a few versions, so that ties are common, at an offset before or behind the pin. */
const aWrite = fc.record({
  by: fc.constantFrom("live", "run"),
  version: fc.integer({ min: 1, max: 3 }),
  offset: fc.integer({ min: 0, max: 9 }),
}) as fc.Arbitrary<{ by: "live" | "run"; version: number; offset: number }>;

/** One writer, a row a commit. */
class Lane {
  readonly #task: SinkTaskId;
  readonly #store: TableStore;
  #epoch: bigint | null = null;
  #next = 0n;

  constructor(task: SinkTaskId, store: TableStore) {
    this.#task = task;
    this.#store = store;
  }

  async write(row: SinkRow): Promise<void> {
    this.#epoch ??= (await this.#store.takeOver(this.#task, () => Promise.resolve(0n))).epoch;
    const facts = { from: this.#next, to: this.#next + 1n, rows: [{ ...row, index: 0 }] };
    this.#next++;
    await this.#store.commit(aCommit(this.#task, this.#epoch, facts));
  }
}

/** The suite; `make` gives an empty table. */
export function correctionContract(name: string, make: () => Promise<TableStoreFixture>): void {
  describe(`corrections: ${name}`, () => {
    let fixture: TableStoreFixture;
    before(async () => {
      fixture = await make();
    });
    after(() => fixture.close());

    const started = async () => {
      const store = fixture.store();
      const task = aTask();
      const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
      const id = (key: string): string => `${task.topic}-${key}`;
      const found = async (...keys: string[]) =>
        (await fixture.rows(keys.map(id))).map((r) => [r.orderId.split("-").at(-1), r.amount]);
      const commit = (facts: CommitFacts) => store.commit(aCommit(task, epoch, facts));
      return { task, id, found, commit };
    };

    test("takes a row of the stored version from another topic for newer: offsets of two topics say nothing", async () => {
      const { id, found, commit } = await started();
      await commit({ from: 0n, to: 9n, rows: [aRow(8, id("a"), { amount: 1 })] });
      const other = aTask();
      const { epoch } = await fixture.store().takeOver(other, () => Promise.resolve(0n));
      const tied = { from: 0n, to: 1n, rows: [aRow(0, id("a"), { amount: 2 })] };
      await fixture.store().commit(aCommit(other, epoch, tied));
      assert.deepEqual(await found("a"), [["a", 2]]);
      const older = { from: 1n, to: 2n, rows: [aRow(1, id("a"), { amount: 3, updatedAt: 999 })] };
      await fixture.store().commit(aCommit(other, epoch, older));
      assert.deepEqual(await found("a"), [["a", 2]]);
    });

    test("a correction replaces what lay there when it was pinned, and no row that is newer, in whatever order they come", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(aWrite, { minLength: 1, maxLength: 30 }), async (writes) => {
          const live = aTask();
          const key = `${live.topic}-key`;
          const corrects = { topic: live.topic, ends: [PINNED] };
          const run = { ...live, pipeline: "contract-r1", topic: `${live.topic}-r1` };
          const lanes = {
            live: new Lane(live, fixture.store()),
            run: new Lane(run, fixture.store(corrects)),
          };
          // Live offsets go up as they do in a log; each row says which one it is.
          const offsets = writes
            .filter(({ by }) => by === "live")
            .map(({ offset }) => offset)
            .sort((a, b) => a - b);
          const rows = writes.map(({ by, version }, amount) => {
            const offset = by === "live" ? 100 * (offsets.shift() ?? 0) + amount : amount;
            return {
              by,
              row: aRow(offset, key, { amount, updatedAt: version }),
              offset,
              version,
              amount,
            };
          });
          for (const { by, row } of rows) await lanes[by].write(row);
          const rankOf = ({ by, offset, amount }: (typeof rows)[0]): number =>
            by === "run" ? 1_000 + amount : offset < Number(PINNED) ? offset : 2_000 + offset;
          const newest = rows
            .toSorted((a, b) => a.version - b.version || rankOf(a) - rankOf(b))
            .at(-1);
          const [found] = await fixture.rows([key]);
          assert.equal(found?.amount, newest?.amount);
        }),
        { numRuns: 60, seed: 20_260_105 },
      );
    });

    test("a correction of rows that come straight from outside keeps their offsets", async () => {
      const { task, id, found, commit } = await started();
      await commit({
        from: 0n,
        to: 9n,
        rows: [aRow(3, id("a"), { amount: 1 }), aRow(8, id("b"), { amount: 1 })],
      });
      const store = fixture.store({ topic: task.topic, ends: null });
      const run = { ...task, pipeline: "contract-r1" };
      const { epoch } = await store.takeOver(run, () => Promise.resolve(0n));
      const rows = [aRow(3, id("a"), { amount: 2 }), aRow(3, id("b"), { amount: 2 })];
      await store.commit(aCommit(run, epoch, { from: 0n, to: 4n, rows }));
      assert.deepEqual(await found("a", "b"), [
        ["a", 2],
        ["b", 1],
      ]);
    });
  });
}
