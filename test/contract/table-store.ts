// What every TableStore must do, in memory and on Postgres alike.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MillraceError } from "../../src/engine/core/errors.ts";
import { emptyLedger, type LedgerCounts } from "../../src/engine/core/ledger.ts";
import type { Correction } from "../../src/engine/core/plan.ts";
import type {
  PendingLetter,
  SinkCommit,
  SinkResult,
  SinkRow,
  SinkTaskId,
  TableStore,
} from "../../src/engine/core/ports.ts";
import type { Schema } from "../../src/engine/core/schema.ts";
import { postgresTable, type PostgresTable } from "../../src/engine/define/table.ts";

export interface ContractRow {
  readonly orderId: string;
  readonly amount: number;
  readonly updatedAt: number;
}

const row: Schema<ContractRow> = {
  format: {
    kind: "avro",
    name: "test.ContractRow",
    schema: {
      type: "record",
      name: "ContractRow",
      namespace: "test",
      fields: [
        { name: "orderId", type: "string" },
        { name: "amount", type: "long" },
        { name: "updatedAt", type: { type: "long", logicalType: "timestamp-millis" } },
      ],
    },
  },
  reads: {},
  writes: {},
};

/** The table that every implementation is given. */
export const contractTable: PostgresTable<ContractRow> = postgresTable("contract_orders", {
  row,
  key: ["orderId"],
  version: "updatedAt",
  columns: { amount: { check: "amount >= 0" } },
});

export interface TableStoreFixture {
  // A row is refused while its amount is negative, as the table's check says (23514).
  /** A worker's own store on the one database. */
  store(corrects?: Correction): TableStore;
  /** Stored rows of these keys, by key. */
  rows(orderIds: readonly string[]): Promise<readonly ContractRow[]>;
  setAvailable(isUp: boolean): Promise<void>;
  /** The next COMMIT succeeds and its reply is lost. */
  loseNextCommitReply(): Promise<void>;
  close(): Promise<void>;
}

let tasks = 0;
export const aTask = (): SinkTaskId => ({
  pipeline: "contract",
  part: "contract_orders",
  topic: `contract-${String(++tasks)}`,
  partition: 0,
});

export const aRow = (
  offset: number,
  orderId: string,
  more: Partial<ContractRow> = {},
): SinkRow => ({
  values: [orderId, more.amount ?? offset, more.updatedAt ?? 1_000],
  index: offset,
  offset: BigInt(offset),
  timestamp: 0,
});

const aLetter = (id: string, more: Partial<PendingLetter> = {}): PendingLetter => ({
  id,
  topic: "contract-dead-letters",
  partition: 2,
  key: Buffer.from("k"),
  value: Buffer.from([0, 255, 10]),
  headers: [],
  timestamp: 1_700_000_000_123,
  ...more,
});

const counted = (consumed: number): LedgerCounts => ({ ...emptyLedger(), consumed });

export interface CommitFacts {
  readonly from: bigint;
  readonly to: bigint;
  readonly rows?: readonly SinkRow[];
  readonly letters?: readonly PendingLetter[];
}

export const aCommit = (
  task: SinkTaskId,
  epoch: bigint,
  { from, to, rows = [], letters = [] }: CommitFacts,
): SinkCommit => ({
  task,
  epoch,
  expectedOffset: from,
  nextOffset: to,
  rows,
  letters,
  refused: ({ offset }, refusal) => aLetter(`refused-${String(offset)}-${refusal.code}`),
  ledger: ({ written, stale, refused }) => ({
    ...counted(Number(to)),
    emitted: written.size,
    superseded: stale.size,
    "dead-lettered": { sink: refused.size },
  }),
});

const withDisposition = (disposition: string) => (error: unknown) =>
  error instanceof MillraceError && error.disposition === disposition;

const idsOf = (letters: readonly PendingLetter[]): string[] => letters.map(({ id }) => id).sort();

/** The suite; `make` gives an empty table. */
export function tableStoreContract(name: string, make: () => Promise<TableStoreFixture>): void {
  describe(`table store: ${name}`, () => {
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
      return { store, task, epoch, id, found, commit };
    };

    test("stores a first start before it returns, and asks for it only once", async () => {
      const task = aTask();
      const store = fixture.store();
      assert.equal(await store.progress(task), null);
      const first = await store.takeOver(task, () => Promise.resolve(42n));
      assert.equal(first.nextOffset, 42n);
      assert.equal((await fixture.store().progress(task))?.nextOffset, 42n);
      const second = await fixture.store().takeOver(task, () => Promise.reject(new Error("asked")));
      assert.deepEqual([second.nextOffset, second.epoch], [42n, first.epoch + 1n]);
    });

    test("lets a start that cannot be found fail without storing anything", async () => {
      const task = aTask();
      const away = new Error("Kafka is away");
      await assert.rejects(
        fixture.store().takeOver(task, () => Promise.reject(away)),
        away,
      );
      assert.equal(await fixture.store().progress(task), null);
    });

    test("fences an owner after another has taken over, and keeps nothing of what it wrote", async () => {
      const { store, task, id, found, commit } = await started();
      await fixture.store().takeOver(task, () => Promise.resolve(0n));
      const rows = [aRow(0, id("a"))];
      const zombie = commit({ from: 0n, to: 1n, rows, letters: [aLetter("zombie")] });
      await assert.rejects(zombie, withDisposition("fence"));
      assert.deepEqual(await found("a"), []);
      assert.deepEqual(await store.pendingLetters(task, 10), []);
      assert.equal((await store.progress(task))?.nextOffset, 0n);
    });

    test("fences a commit that does not begin where progress is", async () => {
      const { store, task, id, found, commit } = await started();
      await commit({ from: 0n, to: 5n });
      const rows = [aRow(3, id("a"))];
      await assert.rejects(commit({ from: 3n, to: 6n, rows }), withDisposition("fence"));
      assert.deepEqual(await found("a"), []);
      assert.equal((await store.progress(task))?.nextOffset, 5n);
    });

    test("puts progress elsewhere with an empty ledger, and fences who has it", async () => {
      const { store, task, epoch, id, found, commit } = await started();
      await commit({ from: 0n, to: 5n, rows: [aRow(0, id("a"))], letters: [aLetter("kept")] });
      const reset = await fixture.store().reset(task, 2n);
      assert.deepEqual(reset, { nextOffset: 2n, epoch: epoch + 1n, ledger: emptyLedger() });
      assert.deepEqual(await store.progress(task), reset);
      await assert.rejects(commit({ from: 5n, to: 6n }), withDisposition("fence"));
      await assert.rejects(commit({ from: 2n, to: 6n }), withDisposition("fence"));
      assert.deepEqual(await found("a"), [["a", 0]]);
      assert.deepEqual(idsOf(await store.pendingLetters(task, 10)), ["kept"]);
    });

    test("puts progress of a task that has never run where it is told", async () => {
      const task = aTask();
      await fixture.store().reset(task, 7n);
      const taken = await fixture.store().takeOver(task, () => Promise.reject(new Error("asked")));
      assert.equal(taken.nextOffset, 7n);
    });

    test("commits rows, progress and ledger together, and hands them to the next owner", async () => {
      const { task, epoch, id, found, commit } = await started();
      const rows = [aRow(0, id("a"), { amount: 7 }), aRow(1, id("b"), { amount: 8 })];
      const result = await commit({ from: 0n, to: 2n, rows });
      assert.deepEqual([...result.written].sort(), [0, 1]);
      assert.deepEqual(await found("a", "b"), [
        ["a", 7],
        ["b", 8],
      ]);
      const next = await fixture.store().takeOver(task, () => Promise.resolve(0n));
      assert.deepEqual([next.nextOffset, next.epoch], [2n, epoch + 1n]);
      assert.deepEqual([next.ledger?.consumed, next.ledger?.emitted], [2, 2]);
    });

    test("advances progress when a batch has no rows", async () => {
      const { store, task, commit } = await started();
      await commit({ from: 0n, to: 9n });
      const progress = await store.progress(task);
      assert.deepEqual([progress?.nextOffset, progress?.ledger?.consumed], [9n, 9]);
    });

    test("keeps the newest row by version, then by source offset, and counts older ones as stale", async () => {
      const { id, found, commit } = await started();
      const newer = aRow(1, id("a"), { amount: 1, updatedAt: 2_000 });
      await commit({ from: 0n, to: 2n, rows: [newer, aRow(0, id("b"), { amount: 1 })] });
      const rows = [
        aRow(2, id("a"), { amount: 2, updatedAt: 1_999 }),
        aRow(3, id("b"), { amount: 3, updatedAt: 1_000 }),
      ];
      const result = await commit({ from: 2n, to: 4n, rows });
      assert.deepEqual([[...result.written], [...result.stale]], [[3], [2]]);
      assert.deepEqual(await found("a", "b"), [
        ["a", 1],
        ["b", 3],
      ]);
    });

    test("changes nothing when the same records come again", async () => {
      const { id, found, commit } = await started();
      const rows = [aRow(0, id("a"), { amount: 5 })];
      await commit({ from: 0n, to: 1n, rows });
      const result = await commit({ from: 1n, to: 2n, rows });
      assert.deepEqual([[...result.written], [...result.stale]], [[], [0]]);
      assert.deepEqual(await found("a"), [["a", 5]]);
    });

    test("collapses a batch to the newest row of each key", async () => {
      const { id, found, commit } = await started();
      const rows = [
        aRow(0, id("a"), { amount: 1, updatedAt: 3_000 }),
        aRow(1, id("a"), { amount: 2, updatedAt: 1_000 }),
        aRow(2, id("b"), { amount: 3 }),
        aRow(3, id("b"), { amount: 4 }),
      ];
      const result = await commit({ from: 0n, to: 4n, rows });
      // The second row of a would have been older than the first, had they come one by one.
      assert.deepEqual([[...result.written].sort(), [...result.stale]], [[0, 2, 3], [1]]);
      assert.deepEqual(await found("a", "b"), [
        ["a", 1],
        ["b", 4],
      ]);
    });

    test("takes the later of one record's own rows with the same key", async () => {
      const { id, found, commit } = await started();
      const rows = [aRow(0, id("a"), { amount: 1 }), aRow(0, id("a"), { amount: 2 })];
      await commit({ from: 0n, to: 1n, rows });
      assert.deepEqual(await found("a"), [["a", 2]]);
    });

    test("makes a refused row a letter, and commits all others with it", async () => {
      const { store, task, id, found, commit } = await started();
      const rows = [...Array(20).keys()].map((i) => aRow(i, id(`k${String(i)}`)));
      rows[13] = aRow(13, id("k13"), { amount: -1 });
      const result = await commit({ from: 0n, to: 20n, rows });
      assert.deepEqual([[...result.refused], result.written.size], [[13], 19]);
      assert.deepEqual(idsOf(await store.pendingLetters(task, 10)), ["refused-13-23514"]);
      assert.deepEqual(await found("k12", "k13", "k14"), [
        ["k12", 12],
        ["k14", 14],
      ]);
      const { ledger } = (await store.progress(task)) ?? assert.fail("no progress");
      assert.deepEqual([ledger?.emitted, ledger?.["dead-lettered"]], [19, { sink: 1 }]);
    });

    test("takes all rows of a record or none", async () => {
      const { store, task, id, found, commit } = await started();
      const rows = [
        aRow(0, id("a"), { amount: 1 }),
        aRow(1, id("b"), { amount: 2 }),
        aRow(1, id("a"), { amount: 3 }),
        aRow(1, id("c"), { amount: -1 }),
        aRow(1, id("d"), { amount: -1 }),
        aRow(2, id("e"), { amount: 4 }),
      ];
      const result = await commit({ from: 0n, to: 3n, rows });
      assert.deepEqual([[...result.written].sort(), [...result.refused]], [[0, 2], [1]]);
      assert.deepEqual(await found("a", "b", "c", "d", "e"), [
        ["a", 1],
        ["e", 4],
      ]);
      assert.deepEqual(idsOf(await store.pendingLetters(task, 10)), ["refused-1-23514"]);
    });

    test("writes the record that had been collapsed under a refused one", async () => {
      const { store, task, id, found, commit } = await started();
      const rows = [
        aRow(0, id("a"), { amount: 1 }),
        aRow(1, id("a"), { amount: 2 }),
        aRow(2, id("a"), { amount: -3 }),
        aRow(3, id("a"), { amount: -4 }),
      ];
      const result = await commit({ from: 0n, to: 4n, rows });
      assert.deepEqual(
        [[...result.written].sort(), [...result.refused].sort()],
        [
          [0, 1],
          [2, 3],
        ],
      );
      assert.deepEqual(await found("a"), [["a", 2]]);
      assert.deepEqual(idsOf(await store.pendingLetters(task, 10)), [
        "refused-2-23514",
        "refused-3-23514",
      ]);
    });

    test("commits progress and letters when every row is refused", async () => {
      const { store, task, id, commit } = await started();
      const rows = [0, 1, 2].map((i) => aRow(i, id(`k${String(i)}`), { amount: -1 }));
      const result = await commit({ from: 0n, to: 3n, rows });
      assert.deepEqual([result.written.size, result.refused.size], [0, 3]);
      assert.equal((await store.pendingLetters(task, 10)).length, 3);
      assert.equal((await store.progress(task))?.nextOffset, 3n);
    });

    test("owes letters byte for byte, the oldest first, until they are forgotten", async () => {
      const { store, task, commit } = await started();
      const full = aLetter("first", {
        headers: [
          ["dlq.id", Buffer.from("x")],
          ["binary", Buffer.from([0, 1, 254])],
          ["none", null],
          ["dlq.id", Buffer.from("again")],
        ],
      });
      const bare = aLetter("second", { key: null, value: null, timestamp: -1 });
      await commit({ from: 0n, to: 1n, letters: [full] });
      await commit({ from: 1n, to: 2n, letters: [bare] });
      assert.deepEqual(await store.pendingLetters(task, 1), [full]);
      assert.deepEqual(await store.pendingLetters(task, 10), [full, bare]);
      await store.forget(task, ["first"]);
      await store.forget(task, ["first"]);
      assert.deepEqual(await store.pendingLetters(task, 10), [bare]);
    });

    test("owes what is told of the outcome, in the same commit", async () => {
      const { store, task, epoch, id } = await started();
      const commit = aCommit(task, epoch, {
        from: 0n,
        to: 3n,
        rows: [aRow(0, id("a")), aRow(1, id("b"), { amount: -1 })],
        letters: [aLetter("known")],
      });
      const told = ({ written, refused }: SinkResult) => [
        aLetter(`told-${String([...written])}-${String([...refused])}`),
      ];
      await store.commit({ ...commit, outcomes: told });
      assert.deepEqual(idsOf(await store.pendingLetters(task, 10)), [
        "known",
        "refused-1-23514",
        "told-0-1",
      ]);
    });

    test("keeps one letter of an id that is owed twice", async () => {
      const { store, task, commit } = await started();
      await commit({ from: 0n, to: 1n, letters: [aLetter("same")] });
      await commit({ from: 1n, to: 2n, letters: [aLetter("same"), aLetter("other")] });
      assert.deepEqual(idsOf(await store.pendingLetters(task, 10)), ["other", "same"]);
    });

    test("keeps tasks apart", async () => {
      const one = await started();
      const other = { ...one.task, partition: 1 };
      await one.commit({ from: 0n, to: 1n, letters: [aLetter("mine")] });
      assert.equal(await one.store.progress(other), null);
      assert.deepEqual(await one.store.pendingLetters(other, 10), []);
      await one.store.forget(other, ["mine"]);
      assert.equal((await one.store.pendingLetters(one.task, 10)).length, 1);
    });

    test("finds out that a commit succeeded although its reply was lost", async () => {
      const { store, task, id, found, commit } = await started();
      await fixture.loseNextCommitReply();
      const rows = [aRow(0, id("a"), { amount: 5 }), aRow(1, id("b"), { amount: -5 })];
      const result = await commit({ from: 0n, to: 2n, rows });
      assert.deepEqual([[...result.written], [...result.refused]], [[0], [1]]);
      assert.deepEqual(await found("a", "b"), [["a", 5]]);
      assert.equal((await store.progress(task))?.nextOffset, 2n);
      await commit({ from: 2n, to: 3n });
    });

    test("asks for a retry while the database is away, and goes on afterwards", async () => {
      const { store, task, id, found, commit } = await started();
      const facts = { from: 0n, to: 1n, rows: [aRow(0, id("a"), { amount: 5 })] };
      await fixture.setAvailable(false);
      const isRetry = withDisposition("retry");
      await assert.rejects(commit(facts), isRetry);
      await assert.rejects(store.progress(task), isRetry);
      await assert.rejects(store.pendingLetters(task, 1), isRetry);
      await assert.rejects(
        store.takeOver(task, () => Promise.resolve(0n)),
        isRetry,
      );
      await fixture.setAvailable(true);
      await commit(facts);
      assert.deepEqual(await found("a"), [["a", 5]]);
    });

    test("commits nothing when a callback of the caller throws", async () => {
      const { store, task, epoch, id, found } = await started();
      const broken = new Error("a bug");
      const throws = (): never => {
        throw broken;
      };
      const rows = [aRow(0, id("a")), aRow(1, id("b"), { amount: -1 })];
      const commit = aCommit(task, epoch, { from: 0n, to: 2n, rows, letters: [aLetter("x")] });
      for (const callback of [{ ledger: throws }, { refused: throws }])
        await assert.rejects(store.commit({ ...commit, ...callback }), broken);
      assert.deepEqual(await found("a", "b"), []);
      assert.deepEqual(await store.pendingLetters(task, 10), []);
      assert.equal((await store.progress(task))?.nextOffset, 0n);
    });
  });
}
