// The fates of rows, by the kind of the table: whichever column decides, the answer of a batch is that of its rows one
// by one. And a ledger that 0.1.0 has stored is read on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { emptyLedger, imbalanceOf } from "../../../src/engine/core/ledger.ts";
import type { Correction } from "../../../src/engine/core/plan.ts";
import type { SinkTaskId, TableStore } from "../../../src/engine/core/ports.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { postgresTable, type PostgresTable } from "../../../src/engine/define/table.ts";
import { rowMapper } from "../../../src/engine/sinks/row-mapping.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { postgresFixture, stillClock, type PostgresFixture } from "./fixture.ts";

type Row = Readonly<Record<string, unknown>>;
const string = { name: "id", type: "string" };
const tableOf = (
  name: string,
  type: unknown,
  more: Partial<Parameters<typeof postgresTable<Row>>[1]>,
): PostgresTable<Row> =>
  postgresTable<Row>(name, {
    row: avro({ type: "record", name: "Row", fields: [string, { name: "v", type }] } as never),
    key: ["id"],
    ...more,
  });

const byTime = tableOf("by_time", "long", {});
const byText = tableOf("by_text", "string", { version: "v" });
const wholeKey = tableOf("whole_key", "long", { key: ["id", "v"] });
const keyAndVersion = tableOf("key_version", "long", { key: ["v"], version: "v" });
const tables = [byTime, byText, wholeKey, keyAndVersion];

let fixture: PostgresFixture;
before(async () => {
  fixture = await postgresFixture(tables);
});
after(() => fixture.close());

interface Given {
  readonly row: Row;
  readonly timestamp?: number;
}
let made = 0;

/** Fates of rows that come in batches of this size. */
async function fatesOf(
  table: PostgresTable<Row>,
  given: readonly Given[],
  size: number,
  corrects?: Correction,
): Promise<string[]> {
  const store = postgresTableStore(fixture.pool, table, { clock: stillClock, corrects });
  const task = { pipeline: "p", part: table.name, topic: `t${String(made++)}`, partition: 0 };
  const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
  const fates = given.map(() => "none");
  for (let at = 0; at < given.length; at += size) {
    const rows = given.slice(at, at + size).map(({ row, timestamp = 0 }, i) => {
      const place = at + i;
      return { values: rowMapper(table)(row), index: place, offset: BigInt(place), timestamp };
    });
    const [expectedOffset, nextOffset] = [BigInt(at), BigInt(at + rows.length)];
    const result = await store.commit({
      ...{ task, epoch, expectedOffset, nextOffset, rows, letters: [] },
      refused: () => assert.fail("nothing is refused"),
      ledger: () => ({ ...emptyLedger() }),
    });
    for (const fate of ["stale", "written"] as const)
      for (const index of result[fate]) fates[index] = fate;
  }
  return fates;
}

async function alike(table: PostgresTable<Row>, of: (id: string) => Given[], want: string[]) {
  for (const size of [1, 2, 100])
    assert.deepEqual(await fatesOf(table, of(`k${String(made)}`), size), want, String(size));
}

test("event time decides where a table has no version", () =>
  alike(
    byTime,
    (id) => [5, 3, 5, 4, 6].map((time) => ({ row: { id, v: time }, timestamp: time * 1_000 })),
    ["written", "stale", "written", "stale", "written"],
  ));

test("texts compare by bytes", () =>
  alike(byText, (id) => ["b", "B", "ä", "c", "ä"].map((v) => ({ row: { id, v } })), [
    "written",
    "stale",
    "written",
    "stale",
    "written",
  ]));

test("a row that is all key is there as it says, whoever wrote it", () =>
  alike(wholeKey, (id) => [5, 3, 5].map((timestamp) => ({ row: { id, v: 1 }, timestamp })), [
    "written",
    "written",
    "written",
  ]));

test("a version that is the key too", async () => {
  const of = (v: number): Given[] => ["a", "b"].map((id) => ({ row: { id, v } }));
  for (const size of [1, 2])
    assert.deepEqual(await fatesOf(keyAndVersion, of(size), size), ["written", "written"]);
});

test("a run that corrects the live table may replace what lay there when it was pinned", async () => {
  const rows = (id: string, ...versions: number[]): Given[] =>
    versions.map((v) => ({ row: { id, v }, timestamp: v }));
  const corrects = { topic: "live", ends: [500n] };
  for (const size of [1, 3]) {
    const id = `run${String(size)}`;
    await fatesOf(byTime, rows(id, 4), 1);
    const fates = await fatesOf(byTime, rows(id, 3, 4, 4, 5), size, corrects);
    assert.deepEqual(fates, ["stale", "written", "written", "written"]);
  }
});

test("a progress row of 0.1.0 has no superseded and no tombstone, and goes on with both", async () => {
  const store: TableStore = postgresTableStore(fixture.pool, byTime, { clock: stillClock });
  const task: SinkTaskId = { pipeline: "old", part: "by_time", topic: "t", partition: 0 };
  await store.takeOver(task, () => Promise.resolve(0n));
  const old = `{"consumed": 3, "emitted": 1, "late": 0, "deduplicated": 0, "null-key": 0,
    "dead-lettered": {"sink": 1}, "filtered": {"by_time": 1}}`;
  await fixture.database.query(
    "UPDATE millrace.progress SET ledger = $1::jsonb WHERE pipeline = 'old'",
    [old],
  );
  const { ledger } = await store.takeOver(task, () => Promise.reject(new Error("asked")));
  assert.ok(ledger !== null);
  assert.deepEqual([ledger.superseded, ledger.tombstone, ledger.filtered], [0, 0, { by_time: 1 }]);
  assert.equal(imbalanceOf(ledger), 0);
  assert.deepEqual((await store.progress(task))?.ledger, ledger);
});

test("a ledger that something else has written is none, and a reset begins another", async () => {
  const store: TableStore = postgresTableStore(fixture.pool, byTime, { clock: stillClock });
  const task: SinkTaskId = { pipeline: "foreign", part: "by_time", topic: "t", partition: 0 };
  const begun = await store.takeOver(task, () => Promise.resolve(4n));
  const wrongs = ['"x"', "7", "[]", "null", '{"consumed": "7"}', '{"filtered": {"a": -1}}'];
  for (const [i, wrong] of [...wrongs, '{"emitted": 1e308}'].entries()) {
    await fixture.database.query(
      "UPDATE millrace.progress SET ledger = $1::jsonb WHERE pipeline = 'foreign'",
      [wrong],
    );
    const found = await store.takeOver(task, () => Promise.reject(new Error("asked")));
    assert.deepEqual([found.ledger, found.nextOffset], [null, 4n], wrong);
    assert.equal((await store.progress(task))?.ledger, null);
    assert.equal(found.epoch, begun.epoch + BigInt(i + 1));
  }
  assert.deepEqual((await store.reset(task, 4n)).ledger, emptyLedger());
});

test("a row of the outbox that something else has written is named, and no letter is sent in its place", async () => {
  const store: TableStore = postgresTableStore(fixture.pool, byTime, { clock: stillClock });
  const task: SinkTaskId = { pipeline: "outbox", part: "by_time", topic: "t", partition: 0 };
  await store.takeOver(task, () => Promise.resolve(0n));
  const wrongs = [
    "{garbage",
    "[8]",
    "null",
    "{}",
    '[["a"]]',
    '[["a", 7]]',
    "[[1, null]]",
    '[["a","b","c"]]',
  ];
  for (const [i, headers] of wrongs.entries()) {
    await fixture.database.query("DELETE FROM millrace.letters WHERE pipeline = 'outbox'");
    await fixture.database.query(
      `INSERT INTO millrace.letters (pipeline, part, topic, partition, id, letter_topic, letter_partition,
         letter_headers, letter_timestamp)
       VALUES ('outbox', 'by_time', 't', 0, $1, 'dead', 0, convert_to($2, 'UTF8'), 0)`,
      [`row-${String(i)}\u001b[2J`, headers],
    );
    await assert.rejects(store.pendingLetters(task, 10), (error: unknown) => {
      assert.ok(error instanceof MillraceError, String(error));
      assert.equal(error.code, "MILL_OUTBOX_INVALID");
      const id = `id "row-${String(i)}\\u001b[2J": its headers are none`;
      assert.ok(error.message.includes(`pipeline outbox, part by_time, t-0, ${id}`), error.message);
      return true;
    });
  }
});
