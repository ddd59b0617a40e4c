// What ends up in a row: every type exactly, hostile texts untouched, and what cannot be stored as a dead letter of its own.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { decimal, type Decimal } from "../../../src/engine/core/decimal.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type {
  RowRefusal,
  SinkResult,
  SinkTaskId,
  TableStore,
} from "../../../src/engine/core/ports.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { postgresTable, type PostgresTable } from "../../../src/engine/define/table.ts";
import { rowMapper } from "../../../src/engine/sinks/row-mapping.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { postgresFixture, stillClock, type PostgresFixture } from "./fixture.ts";

interface Everything {
  readonly id: string;
  readonly flag: boolean | null;
  readonly small: number | null;
  readonly big: number | null;
  readonly huge: bigint | null;
  readonly single: number | null;
  readonly double: number | null;
  readonly amount: Decimal | null;
  readonly status: "open" | "closed" | null;
  readonly uid: string | null;
  readonly day: string | null;
  readonly time: number | null;
  readonly at: number | null;
  readonly atMicros: bigint | null;
  readonly local: string | null;
  readonly raw: Uint8Array | null;
  readonly tags: readonly string[] | null;
  readonly nested: { readonly deep: bigint | string | Uint8Array } | null;
  readonly note: string | null;
}

const maybe = (type: unknown): unknown => ["null", type];
const logical = (type: string, logicalType: string, more: object = {}): unknown =>
  maybe({ type, logicalType, ...more });

const everything: PostgresTable<Everything> = postgresTable("everything", {
  row: avro<Everything>({
    type: "record",
    name: "Everything",
    fields: [
      { name: "id", type: "string" },
      { name: "flag", type: maybe("boolean") },
      { name: "small", type: maybe("int") },
      { name: "big", type: maybe("long") },
      { name: "huge", type: logical("long", "bigint") },
      { name: "single", type: maybe("float") },
      { name: "double", type: maybe("double") },
      { name: "amount", type: logical("bytes", "decimal", { precision: 12, scale: 2 }) },
      {
        name: "status",
        type: maybe({ type: "enum", name: "Status", symbols: ["open", "closed"] }),
      },
      { name: "uid", type: logical("string", "uuid") },
      { name: "day", type: logical("int", "date") },
      { name: "time", type: logical("int", "time-millis") },
      { name: "at", type: logical("long", "timestamp-millis") },
      { name: "atMicros", type: logical("long", "timestamp-micros") },
      { name: "local", type: logical("long", "local-timestamp-millis") },
      { name: "raw", type: maybe("bytes") },
      { name: "tags", type: maybe({ type: "array", items: "string" }) },
      {
        name: "nested",
        type: maybe({ type: "record", name: "Nested", fields: [{ name: "deep", type: "bytes" }] }),
      },
      { name: "note", type: maybe("string") },
    ],
  }),
  key: ["id"],
  columns: { note: { type: "varchar(5)", check: "note <> 'bad'" } },
});

const empty: Omit<Everything, "id"> = {
  flag: null,
  small: null,
  big: null,
  huge: null,
  single: null,
  double: null,
  amount: null,
  status: null,
  uid: null,
  day: null,
  time: null,
  at: null,
  atMicros: null,
  local: null,
  raw: null,
  tags: null,
  nested: null,
  note: null,
};

interface Pair {
  readonly left: string;
  readonly right: number;
}
const pairs: PostgresTable<Pair> = postgresTable("pairs", {
  row: avro<Pair>({
    type: "record",
    name: "Pair",
    fields: [
      { name: "left", type: "string" },
      { name: "right", type: "int" },
    ],
  }),
  key: ["left", "right"],
});

interface Versioned {
  readonly id: string;
  readonly version: string;
}
const versioned: PostgresTable<Versioned> = postgresTable("versioned", {
  row: avro<Versioned>({
    type: "record",
    name: "Versioned",
    fields: [
      { name: "id", type: "string" },
      { name: "version", type: "string" },
    ],
  }),
  key: ["id"],
  version: "version",
});

describe("rows in Postgres", () => {
  let fixture: PostgresFixture;
  before(async () => {
    fixture = await postgresFixture([everything, pairs, versioned]);
  });
  after(() => fixture.close());

  let tasks = 0;
  const writer = async <R extends object>(table: PostgresTable<R>) => {
    const store: TableStore = postgresTableStore(fixture.pool, table, { clock: stillClock });
    const task: SinkTaskId = {
      pipeline: "rows",
      part: table.name,
      topic: `rows-${String(++tasks)}`,
      partition: 7,
    };
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    const valuesOf = rowMapper(table);
    let next = 0n;
    const refusals: RowRefusal[] = [];
    const write = async (...rows: R[]): Promise<SinkResult> => {
      const from = next;
      next += BigInt(rows.length);
      return store.commit({
        task,
        epoch,
        expectedOffset: from,
        nextOffset: next,
        rows: rows.map((row, i) => ({
          values: valuesOf(row),
          index: i,
          offset: from + BigInt(i),
          timestamp: 1_700_000_000_000 + i,
        })),
        letters: [],
        refused: ({ offset }, refusal) => {
          refusals.push(refusal);
          const id = `${task.topic}-${String(offset)}`;
          const topic = "rows-dead-letters";
          return { id, topic, partition: 0, key: null, value: null, headers: [], timestamp: 0 };
        },
        ledger: emptyLedger,
      });
    };
    return { task, write, refusals };
  };

  const column = async (id: string, expression: string): Promise<unknown> => {
    const sql = `SELECT (${expression}) AS value FROM everything WHERE id = $1`;
    return (await fixture.database.query<{ value: unknown }>(sql, [id]))[0]?.value;
  };

  const exact: readonly (readonly [string, Partial<Everything>, string, unknown])[] = [
    ["a boolean", { flag: true }, "flag::text", "true"],
    ["an int at its end", { small: -2_147_483_648 }, "small::text", "-2147483648"],
    ["a long at its safe end", { big: Number.MAX_SAFE_INTEGER }, "big::text", "9007199254740991"],
    ["a 64-bit id", { huge: 9_223_372_036_854_775_807n }, "huge::text", "9223372036854775807"],
    ["a float", { single: Math.fround(0.1) }, "single::text", "0.1"],
    ["a double", { double: 0.1 + 0.2 }, "double::text", "0.30000000000000004"],
    ["a double that is not finite", { double: -Infinity }, "double::text", "-Infinity"],
    ["money", { amount: decimal("-9999999999.99") }, "amount::text", "-9999999999.99"],
    ["money with fewer places", { amount: decimal("5") }, "amount::text", "5.00"],
    ["an enum", { status: "open" }, "status", "open"],
    [
      "a uuid",
      { uid: "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11" },
      "uid::text",
      "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ],
    ["a date", { day: "2024-02-29" }, "day::text", "2024-02-29"],
    ["a time of day", { time: 86_399_999 }, "time::text", "23:59:59.999"],
    ["an instant", { at: 1_767_225_600_123 }, "extract(epoch from at)::text", "1767225600.123000"],
    ["an instant before 1970", { at: -1 }, "extract(epoch from at)::text", "-0.001000"],
    [
      "an instant before year 1",
      { at: -62_167_219_200_001 },
      "extract(epoch from at)::text",
      "-62167219200.001000",
    ],
    [
      "an instant after year 9999",
      { at: 253_402_300_800_001 },
      "extract(epoch from at)::text",
      "253402300800.001000",
    ],
    [
      "microseconds",
      { atMicros: -1_767_225_600_123_456n },
      "extract(epoch from at_micros)::text",
      "-1767225600.123456",
    ],
    [
      "a local time",
      { local: "2026-01-05T11:53:26.001" },
      "local::text",
      "2026-01-05 11:53:26.001",
    ],
    ["bytes", { raw: Uint8Array.of(0, 92, 34, 255) }, "encode(raw, 'hex')", "005c22ff"],
    ["a list", { tags: ["a,b", '"', "\\", "NULL", ""] }, "tags->>1", '"'],
    [
      "a long inside JSON",
      { nested: { deep: 2n ** 63n } },
      "nested->>'deep'",
      "9223372036854775808",
    ],
    ["bytes inside JSON", { nested: { deep: Buffer.from("hi") } }, "nested->>'deep'", "aGk="],
    ["the text NULL", { note: "NULL" }, "note", "NULL"],
    ["an empty text", { note: "" }, "note", ""],
    ["no text", { note: null }, "note IS NULL", true],
  ];
  for (const [what, row, expression, expected] of exact)
    test(`stores ${what} exactly`, async () => {
      const { task, write } = await writer(everything);
      const { refused } = await write({ id: task.topic, ...empty, ...row });
      assert.equal(refused.size, 0);
      assert.deepEqual(await column(task.topic, expression), expected);
    });

  const SECRET = "Secret-7f3a";
  const poison: readonly (readonly [string, Partial<Everything>, string])[] = [
    ["a number too large for its column", { small: 2_147_483_648 }, "22003"],
    ["a fraction in a whole number", { small: 1.5 }, "22P02"],
    ["money with too many digits", { amount: decimal("99999999999.99") }, "22003"],
    ["money that would be rounded", { amount: decimal("0.005") }, "22003"],
    ["a text too long for its column, never cut off", { note: `${SECRET}` }, "22001"],
    ["a NUL character", { note: "a\0b" }, "22021"],
    ["half a character", { note: "a\ud800" }, "22021"],
    ["a text that breaks a check", { note: "bad" }, "23514"],
    ["a symbol that the enum lacks", { status: SECRET as "open" }, "23514"],
    ["a text that is no uuid", { uid: SECRET }, "22P02"],
    ["a date that does not exist", { day: "2023-02-29" }, "22008"],
    ["a text where a number belongs", { small: SECRET as unknown as number }, "22023"],
    ["an instant beyond the calendar", { at: 8.64e15 + 1 }, "22008"],
    ["a NUL inside JSON", { nested: { deep: "a\0" } }, "22P05"],
    ["a key that is too long for its index", { id: "x".repeat(10) }, "54000"],
  ];
  for (const [what, row, code] of poison)
    test(`refuses ${what}, alone, and says nothing of its value`, async () => {
      const { task, write, refusals } = await writer(everything);
      const good = (id: string) => ({ id: `${task.topic}-${id}`, ...empty });
      // Random text does not compress, so the index entry is over its limit.
      const long = [...Array(3_000).keys()].map((i) =>
        String.fromCharCode(97 + ((i * i * 31) % 26)),
      );
      const id = code === "54000" ? long.map((c, i) => c + String(i * 7919)).join("") : "bad";
      const result = await write(good("1"), { ...good("2"), ...row, id }, good("3"));
      assert.deepEqual([[...result.refused], result.written.size], [[1], 2]);
      assert.deepEqual(
        refusals.map((r) => r.code),
        [code],
      );
      assert.doesNotMatch(JSON.stringify(refusals), /Secret|bad/);
    });

  test("refuses a row that a deferred constraint would refuse at COMMIT", async () => {
    await fixture.database.query(`
      CREATE TABLE parents (id text PRIMARY KEY); INSERT INTO parents VALUES ('p');
      ALTER TABLE pairs ADD CONSTRAINT parent FOREIGN KEY ("left") REFERENCES parents
        DEFERRABLE INITIALLY DEFERRED`);
    const { write, refusals } = await writer(pairs);
    const result = await write({ left: "p", right: 1 }, { left: "orphan", right: 1 });
    assert.deepEqual([[...result.written], [...result.refused]], [[0], [1]]);
    assert.deepEqual(
      refusals.map((r) => r.code),
      ["23503"],
    );
    await fixture.database.query("ALTER TABLE pairs DROP CONSTRAINT parent; DROP TABLE parents");
  });

  test("does nothing for a row that is all key and already there", async () => {
    const { write } = await writer(pairs);
    await write({ left: "a", right: 1 });
    const again = await write({ left: "a", right: 1 }, { left: "a", right: 2 });
    // The row that is there says what the new one says: neither loses.
    assert.deepEqual([[...again.stale], [...again.written]], [[], [0, 1]]);
  });

  test("says where a row came from and when it was written", async () => {
    const { task, write } = await writer(everything);
    await write({ id: task.topic, ...empty });
    const origin = "concat_ws(' ', source_topic, source_partition, source_offset)";
    assert.equal(await column(task.topic, origin), `${task.topic} 7 0`);
    const times = "extract(epoch from source_timestamp)::text || extract(epoch from processed_at)";
    assert.equal(await column(task.topic, times), "1700000000.0000001767225600.123000");
  });

  test("says of a redriven row where its record was first read", async () => {
    const store = postgresTableStore(fixture.pool, everything, { clock: stillClock });
    const task = { pipeline: "rows", part: "everything", topic: "rows-redrive", partition: 1 };
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    const values = rowMapper(everything)({ id: "redriven", ...empty });
    await store.commit({
      ...{ task, epoch, expectedOffset: 0n, nextOffset: 1n, letters: [] },
      origin: { topic: "rows-source", partition: 1 },
      rows: [{ values, index: 0, offset: 42n, timestamp: 1_000 }],
      refused: () => assert.fail("nothing is refused"),
      ledger: () => emptyLedger(),
    });
    const origin = "concat_ws(' ', source_topic, source_partition, source_offset)";
    assert.equal(await column("redriven", origin), "rows-source 1 42");
  });

  test("takes the record's time as version where a table declares none", async () => {
    const { task, write } = await writer(everything);
    const row = (small: number) => ({ id: task.topic, ...empty, small });
    const other = { id: `${task.topic}-x`, ...empty };
    // The second record of a batch is a millisecond later than the first of the next.
    await write(other, row(1));
    const result = await write(row(2), other);
    assert.deepEqual([[...result.stale], [...result.written]], [[0], [1]]);
    assert.equal(await column(task.topic, "small"), 1);
  });

  test("compares text versions by bytes, whatever the column's collation", async () => {
    await fixture.database.query(
      'ALTER TABLE versioned ALTER version TYPE text COLLATE "en-x-icu"',
    );
    const { write } = await writer(versioned);
    await write({ id: "a", version: "a" });
    const result = await write({ id: "a", version: "B" });
    assert.deepEqual([[...result.stale], [...result.written]], [[0], []]);
  });

  test("returns any text as it was given", async () => {
    const { task, write } = await writer(everything);
    const text = fc.string({ unit: "binary", maxLength: 5 }).map((s) => s.replaceAll("\0", "0"));
    const hostile = fc.constantFrom(
      "'",
      '"',
      "\\",
      "{}",
      "NULL",
      "$1",
      "--",
      "a,b",
      "\\\\x",
      "'';",
    );
    const texts = fc.array(fc.oneof(text, hostile), { minLength: 1, maxLength: 40 });
    let run = 0;
    const property = fc.asyncProperty(texts, async (given) => {
      const prefix = `${task.topic}-${String(run++)}-`;
      const fitting = given.map((s) => [...s].slice(0, 5).join(""));
      const rows = fitting.map((note, i) => ({
        ...empty,
        id: prefix + String(i).padStart(3, "0"),
        note,
        tags: [note],
        raw: Buffer.from(note),
      }));
      assert.equal((await write(...rows)).refused.size, 0);
      const found = await fixture.database.query<{ note: string; tag: string; raw: Buffer }>(
        "SELECT note, tags->>0 AS tag, raw FROM everything WHERE id LIKE $1 ORDER BY id",
        [`${prefix}%`],
      );
      assert.deepEqual(
        found.map(({ note, tag, raw }) => [note, tag, raw.toString()]),
        fitting.map((note) => [note, note, note]),
      );
    });
    await fc.assert(property, { numRuns: 30 });
  });
});
