// Tables that others have made: nothing of them changes, what they lack is SQL for their owner, and with it `tables apply` and
// a worker are content (case P4). Tables that we have made keep what nobody declares.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { tablesVerb } from "../../../src/cli/tables.ts";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../../src/engine/core/plan-settings.ts";
import { applyTables, checkTables } from "../../../src/engine/provision/tables/tables.ts";
import { avro, postgresTable, type PostgresTable } from "#engine";
import { command, type CommandResult } from "../../support/command.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { rowsWritten, tableState } from "../../support/foreign-tables.ts";
import { stillClock } from "./fixture.ts";

interface Spend {
  readonly householdId: string;
  readonly day: string;
  readonly total: bigint;
  readonly note: string | null;
}
const row = avro<Spend>({
  type: "record",
  name: "Spend",
  fields: [
    { name: "householdId", type: "string" },
    { name: "day", type: "string" },
    { name: "total", type: "long" },
    { name: "note", type: ["null", "string"], doc: "Free text." },
  ],
});
const dailySpend = postgresTable<Spend>("daily_spend", {
  ...{ row, key: ["householdId", "day"], schema: "analytics", indexes: [["day"]] },
  description: "What each household spends.",
  rows: () => [
    { householdId: "none", day: "-", total: 0n, note: null },
    { householdId: "h1", day: "2026-01-01", total: 0n, note: "declared" },
  ],
});

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

const tables = (table: PostgresTable<never>, ...argv: string[]): Promise<CommandResult> =>
  command(
    tablesVerb(
      () => {
        const own = postgresPool({ url: database.url });
        const connection = { pool: own, clock: stillClock, tables: [table as never] };
        return Promise.resolve({
          ...connection,
          ...DEFAULT_PLAN_SETTINGS,
          close: () => own.close(),
        });
      },
      () => [],
    ),
    ["tables", ...argv],
  );

/** The script that a plan prints, as its owner would paste it. */
const scriptOf = ({ out }: CommandResult): string => {
  const from = out.indexOf("    BEGIN;");
  return out.slice(from, out.indexOf("    COMMIT;") + 1).join("\n");
};

describe("a table with rows that others have made", () => {
  const table = dailySpend as unknown as PostgresTable<never>;
  const state = () => tableState(database, "analytics", "daily_spend");
  before(() =>
    database.query(`CREATE SCHEMA analytics;
      CREATE TABLE analytics.daily_spend (id bigserial PRIMARY KEY, household_id varchar(20) NOT NULL, day text NOT NULL,
        total integer NOT NULL, note text NOT NULL DEFAULT '', loaded_by name NOT NULL DEFAULT current_user,
        CONSTRAINT daily_spend_total_check CHECK (total >= 0));
      COMMENT ON TABLE analytics.daily_spend IS 'Of the analysts.';
      COMMENT ON COLUMN analytics.daily_spend.note IS 'Theirs.';
      INSERT INTO analytics.daily_spend (household_id, day, total) VALUES ('h1', '2026-01-01', 5), ('h2', '2026-01-01', 7);
      GRANT SELECT ON analytics.daily_spend TO PUBLIC`),
  );

  test("is left as it is, and what it lacks is SQL for its owner", async () => {
    const found = await state();
    for (const argv of [["plan"], ["apply", "--dry-run"], ["apply"]]) {
      const { code, out, err } = await tables(table, ...argv);
      assert.equal(code, 78, err.join("\n"));
      if (argv.join() === "apply")
        assert.match(
          err.join("\n"),
          /MILL_TABLE_DIFFERS.*analytics.daily_spend: add column source_offset bigint; its owner may run: ALTER TABLE/,
        );
      else assert.match(out.join("\n"), /^refused {2}analytics\.daily_spend$/m);
      assert.deepEqual(await state(), found);
    }
    const [own] = await database.query("SELECT to_regclass('millrace.progress') AS name");
    assert.deepEqual(own, { name: null }, "nothing else was made either");
    assert.ok((await checkTables([table], pool)).length > 0);
  });

  test("takes rows once its owner has run the SQL, and keeps all else", async () => {
    const script = scriptOf(await tables(table, "plan"));
    const found = await state();
    await database.query(script);
    const { code, out, err } = await tables(table, "apply");
    assert.equal(code, 0, [...out, ...err].join("\n"));
    assert.ok(
      out.includes(
        "  note: made by others: its columns, rights, constraints and comments are left alone",
      ),
    );
    assert.ok(
      out.some((line) =>
        line.startsWith("  note: no index on day; its owner may run: CREATE INDEX"),
      ),
    );
    assert.deepEqual(await checkTables([table], pool), []);
    const now = await state();
    const old = new Set(found.columns.map(({ name }) => name));
    assert.deepEqual(
      now.columns.filter(({ name }) => old.has(name)),
      // The owner's own script: declared values may be null and longer.
      found.columns.map((column) => ({
        ...column,
        ...(column.name === "note" ? { nullable: true } : {}),
        ...(column.name === "total" ? { type: "bigint" } : {}),
        ...(column.name === "household_id" ? { type: "text" } : {}),
      })),
    );
    assert.deepEqual(
      [now.comment, now.rights, now.checks],
      [found.comment, found.rights, found.checks],
    );
    // A declared row that was missing; a row of the owner with a declared row's key stays theirs.
    const rows = await database.query(
      "SELECT household_id, total::integer, note FROM analytics.daily_spend ORDER BY 1",
    );
    assert.deepEqual(rows, [
      { household_id: "h1", total: 5, note: "" },
      { household_id: "h2", total: 7, note: "" },
      { household_id: "none", total: 0, note: null },
    ]);
    assert.deepEqual(
      await rowsWritten(pool, table, [
        ["h1", "2026-01-01", 50n, "ours"],
        ["h3", "-", 1n, null],
      ]),
      2,
    );
    // Others still write as they did.
    await database.query(
      "INSERT INTO analytics.daily_spend (household_id, day, total) VALUES ('h4', '-', 2)",
    );
    assert.equal((await tables(table, "apply")).code, 0);
    const [replaced] = await database.query(
      "SELECT total::integer, note, loaded_by = current_user AS theirs FROM analytics.daily_spend WHERE household_id = 'h1'",
    );
    assert.deepEqual(replaced, { total: 50, note: "ours", theirs: true });
  });
});

describe("a table that we have made", () => {
  const table = postgresTable<Spend>("own_spend", {
    row,
    key: ["householdId", "day"],
  }) as unknown as PostgresTable<never>;
  const state = () => tableState(database, "public", "own_spend");

  test("keeps comments, constraints, rights, defaults and columns that nobody declares", async () => {
    await applyTables([table as never], pool, stillClock);
    await database.query(`COMMENT ON TABLE own_spend IS 'Read by finance.'; COMMENT ON COLUMN own_spend.total IS 'In cents.';
      ALTER TABLE own_spend ADD CHECK (total > -5), ADD extra text, ALTER total SET DEFAULT 7;
      GRANT SELECT ON own_spend TO PUBLIC; CREATE INDEX theirs ON own_spend (extra)`);
    const found = await state();
    assert.equal(
      found.checks[0]?.name,
      "own_spend_total_check",
      "the name that a check of ours would have",
    );
    assert.equal((await tables(table, "apply")).code, 0);
    assert.deepEqual(await state(), found);
  });

  test("of release 0.1.0 has no mark, and is known by its columns", async () => {
    await database.query(
      "COMMENT ON COLUMN own_spend.processed_at IS NULL; ALTER TABLE own_spend DROP note",
    );
    const { code, out } = await tables(table, "apply");
    assert.equal(code, 0, out.join("\n"));
    const { columns } = await state();
    assert.ok(columns.some(({ name }) => name === "note"));
    assert.equal(
      columns.find(({ name }) => name === "processed_at")?.comment,
      "Written by Millrace, which made this table.",
    );
  });
});
