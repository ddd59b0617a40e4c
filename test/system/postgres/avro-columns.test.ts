// Rows whose schemas use everything that Avro has: planned, applied, written from Avro's bytes and read again from Postgres.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tablesVerb } from "../../../src/cli/tables.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../../src/engine/core/plan-settings.ts";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { decimal } from "../../../src/engine/core/decimal.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { AvroSchema } from "../../../src/engine/core/schema.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { postgresTable, type PostgresTable } from "../../../src/engine/define/table.ts";
import { rowMapper } from "../../../src/engine/sinks/row-mapping.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { codecOf } from "../../engine/decode/avro-support.ts";
import { command, type CommandResult } from "../../support/command.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { stillClock } from "./fixture.ts";

type Row = Readonly<Record<string, unknown>>;
const record = (name: string, ...fields: object[]) => ({ type: "record", name, fields });
const id = { name: "id", type: "string" };

interface Kind {
  readonly name: string;
  /** Fields beside `id`. */
  readonly fields: readonly object[];
  readonly values: Row;
  /** The words of format_type() for each column. */
  readonly types: Readonly<Record<string, string>>;
  /** The text that Postgres prints of each. */
  readonly texts: Readonly<Record<string, string | null>>;
}

const UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
const kindType = { type: "enum", name: "Kind", symbols: ["a", "b"] };
const kinds: readonly Kind[] = [
  {
    name: "uuids",
    fields: [
      { name: "u", type: { type: "fixed", size: 16, name: "Uuid16", logicalType: "uuid" } },
      { name: "maybe", type: ["null", "Uuid16"] },
      { name: "text", type: { type: "string", logicalType: "uuid" } },
    ],
    values: { u: UUID, maybe: UUID, text: UUID },
    types: { u: "uuid", maybe: "uuid", text: "uuid" },
    texts: { u: UUID, maybe: UUID, text: UUID },
  },
  {
    name: "named_types",
    fields: [
      { name: "box", type: record("shop.Box", { name: "kind", type: kindType }) },
      { name: "kind", type: "shop.Kind" },
      { name: "list", type: { type: "array", items: "shop.Kind" } },
      { name: "again", type: ["null", "shop.Box"] },
    ],
    values: { box: { kind: "a" }, kind: "b", list: ["a", "b"], again: null },
    types: { box: "jsonb", kind: "text", list: "jsonb", again: "jsonb" },
    texts: { box: '{"kind": "a"}', kind: "b", list: '["a", "b"]', again: null },
  },
  {
    name: "recursion",
    fields: [
      { name: "node", type: record("Node", { name: "next", type: ["null", "Node"] }) },
      { name: "other", type: ["null", "Node"] },
    ],
    values: { node: { next: { next: null } }, other: { next: null } },
    types: { node: "jsonb", other: "jsonb" },
    texts: { node: '{"next": {"next": null}}', other: '{"next": null}' },
  },
  {
    name: "decimals",
    fields: [
      { name: "b", type: { type: "bytes", logicalType: "decimal", precision: 12, scale: 2 } },
      {
        name: "f",
        type: { type: "fixed", name: "F8", size: 8, logicalType: "decimal", precision: 5 },
      },
      { name: "again", type: ["F8", "null"] },
    ],
    values: { b: decimal("-12.3"), f: decimal("99999"), again: decimal("7") },
    types: { b: "numeric(12,2)", f: "numeric(5,0)", again: "numeric(5,0)" },
    texts: { b: "-12.30", f: "99999", again: "7" },
  },
  {
    name: "times",
    fields: [
      { name: "day", type: { type: "int", logicalType: "date" } },
      { name: "ms", type: { type: "int", logicalType: "time-millis" } },
      { name: "us", type: { type: "long", logicalType: "time-micros" } },
      { name: "at", type: { type: "long", logicalType: "timestamp-micros" } },
      { name: "ns", type: { type: "long", logicalType: "timestamp-nanos" } },
      { name: "local", type: { type: "long", logicalType: "local-timestamp-micros" } },
      { name: "localNs", type: { type: "long", logicalType: "local-timestamp-nanos" } },
    ],
    values: {
      day: "2024-02-29",
      ms: 1_001,
      us: 86_399_999_999n,
      at: 1_767_225_600_123_456n,
      ns: 1_767_225_600_123_456_789n,
      local: "2026-01-05T11:53:26.001002",
      localNs: "2026-01-05T11:53:26.001002003",
    },
    types: {
      day: "date",
      ms: "time without time zone",
      us: "time without time zone",
      at: "timestamp with time zone",
      ns: "bigint",
      local: "timestamp without time zone",
      local_ns: "text",
    },
    texts: {
      day: "2024-02-29",
      ms: "00:00:01.001",
      us: "23:59:59.999999",
      at: "2026-01-01 00:00:00.123456+00",
      ns: "1767225600123456789",
      local: "2026-01-05 11:53:26.001002",
      local_ns: "2026-01-05T11:53:26.001002003",
    },
  },
  {
    name: "unions",
    fields: [
      { name: "two", type: ["string", "int"] },
      {
        name: "cards",
        type: ["null", record("x.Card", { name: "n", type: "int" }), record("y.Card")],
      },
      { name: "raw", type: ["null", "bytes"] },
      { name: "fix", type: { type: "fixed", name: "F2", size: 2 } },
      { name: "scores", type: { type: "map", values: ["null", "double"] } },
      { name: "url", type: { type: "string", logicalType: "url" } },
    ],
    values: {
      two: 7,
      cards: { "x.Card": { n: 1 } },
      raw: new Uint8Array([1, 255]),
      fix: new Uint8Array([0, 9]),
      scores: { a: 1.5, b: null },
      url: "http://x",
    },
    types: {
      two: "jsonb",
      cards: "jsonb",
      raw: "bytea",
      fix: "bytea",
      scores: "jsonb",
      url: "text",
    },
    texts: {
      two: "7",
      cards: '{"x.Card": {"n": 1}}',
      raw: "\\x01ff",
      fix: "\\x0009",
      scores: '{"a": 1.5, "b": null}',
      url: "http://x",
    },
  },
];

const schemaOf = ({ name, fields }: Kind): AvroSchema =>
  record(`Row_${name}`, id, ...fields) as AvroSchema;
const tableOf = (kind: Kind): PostgresTable<Row> =>
  postgresTable(kind.name, { row: avro<Row>(schemaOf(kind)), key: ["id"] });

let database: FreshDatabase;
let pool: PostgresPool;
before(async () => {
  database = await freshDatabase();
  pool = postgresPool({ url: database.url });
});
after(async () => {
  await pool.close();
  await database.drop();
});

const noPlans = () => [];
const millrace = (
  tables: readonly PostgresTable<Row>[],
  ...argv: string[]
): Promise<CommandResult> =>
  command(
    tablesVerb(() => {
      const own = postgresPool({ url: database.url });
      return Promise.resolve({
        pool: own,
        clock: stillClock,
        tables: tables as never,
        ...DEFAULT_PLAN_SETTINGS,
        close: () => own.close(),
      });
    }, noPlans),
    ["tables", ...argv],
  );

async function write(table: PostgresTable<Row>, row: Row): Promise<readonly string[]> {
  const store = postgresTableStore(pool, table as never, { clock: stillClock });
  const task = { pipeline: "avro", part: table.name, topic: table.name, partition: 0 };
  const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
  const refusals: string[] = [];
  await store.commit({
    task,
    epoch,
    expectedOffset: 0n,
    nextOffset: 1n,
    rows: [{ values: rowMapper(table as never)(row), index: 0, offset: 0n, timestamp: 1 }],
    letters: [],
    refused: (_, { message }) => {
      refusals.push(message);
      const nothing = { key: null, value: null, headers: [], timestamp: 0 };
      return { id: table.name, topic: "letters", partition: 0, ...nothing };
    },
    ledger: emptyLedger,
  });
  return refusals;
}

for (const kind of kinds)
  test(`${kind.name}: the columns are those of the schema, and a row comes through both ways`, async () => {
    const table = tableOf(kind);
    assert.equal((await millrace([table], "apply")).code, 0);
    const again = await millrace([table], "plan");
    assert.ok(again.out.includes(`ok       public.${kind.name}`), again.out.join("\n"));

    const types = await database.query<{ name: string; type: string }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
       WHERE attrelid = '${kind.name}'::regclass AND attnum > 0 ORDER BY attnum`,
    );
    const found = Object.fromEntries(types.map(({ name, type }) => [name, type]));
    for (const [name, type] of Object.entries(kind.types)) assert.equal(found[name], type, name);

    const codec = codecOf(schemaOf(kind));
    const row = codec.decode(codec.encode({ id: "r", ...kind.values })) as Row;
    assert.deepEqual(row, { id: "r", ...kind.values });
    assert.deepEqual(await write(table, row), []);
    await database.query("SET TIME ZONE 'UTC'");
    for (const [name, text] of Object.entries(kind.texts)) {
      const inUtc = kind.types[name]?.includes("with time zone") === true;
      const shown = inUtc ? `(${name} AT TIME ZONE 'UTC')::text || '+00'` : `${name}::text`;
      const sql = `SELECT ${shown} AS value FROM ${kind.name}`;
      assert.equal((await database.query<{ value: unknown }>(sql))[0]?.value, text, name);
    }
  });

const bare = { name: "fee", type: { type: "bytes", logicalType: "decimal" } };
const refused: readonly (readonly [object, RegExp])[] = [
  [bare, /table "refused": field "fee": the decimal has no precision\. Mend the schema; or set/],
  [
    { name: "span", type: { type: "fixed", name: "D", size: 12, logicalType: "duration" } },
    /field "span": the logical type "duration" is not known\./,
  ],
  [
    { name: "at", type: { type: "int", logicalType: "timestamp-millis" } },
    /stands on long, not on int/,
  ],
  [{ name: "nothing", type: "null" }, /field "nothing" can only be null/],
];
for (const [field, reason] of refused)
  test(`no table is planned, with the name of the field: ${reason.source.slice(0, 50)}`, async () => {
    const row = avro<Row>(record("R", id, field));
    const { code, err } = await millrace(
      [postgresTable<Row>("refused", { row, key: ["id"] })],
      "plan",
    );
    assert.equal(code, 78);
    assert.match(err.join("\n"), reason);
  });

test("a field whose logical type is ignored is stored as the user says", async () => {
  const table = postgresTable<Row>("as_told", {
    row: avro<Row>(record("R", id, bare)),
    key: ["id"],
    columns: { fee: { type: "bytea" } },
  });
  assert.equal((await millrace([table], "apply")).code, 0);
  assert.deepEqual(await write(table, { id: "r", fee: new Uint8Array([4, 210]) }), []);
  const rows = await database.query<{ fee: string }>("SELECT fee::text AS fee FROM as_told");
  assert.deepEqual(rows, [{ fee: "\\x04d2" }]);
});
