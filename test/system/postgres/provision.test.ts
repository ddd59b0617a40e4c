// Declared tables, made and changed in a real Postgres: never a loss of data, and never a second change.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { ConfigErrors, MillraceError } from "../../../src/engine/core/errors.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import {
  postgresTable,
  type PostgresTable,
  type PostgresTableOptions,
} from "../../../src/engine/define/table.ts";
import {
  applyTables,
  checkTables,
  planTables,
  type TablePlan,
} from "../../../src/engine/provision/tables/tables.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { stillClock } from "./fixture.ts";

interface Customer {
  readonly customerId: string;
  readonly name: string | null;
  readonly orders: number;
  readonly tier: string;
}

const tableOf = (
  more: Partial<PostgresTableOptions<Customer>> = {},
  types: Partial<Record<keyof Customer, unknown>> = {},
): PostgresTable<Customer> =>
  postgresTable("dim_customers", {
    row: avro<Customer>({
      type: "record",
      name: "Customer",
      fields: [
        { name: "customerId", type: "string" },
        { name: "name", type: ["null", "string"], doc: "It's the full name." },
        { name: "orders", type: "int" },
        { name: "tier", type: { type: "enum", name: "Tier", symbols: ["gold", "tin"] } },
      ].map((field) => ({ ...field, type: types[field.name as keyof Customer] ?? field.type })),
    }),
    key: ["customerId"],
    description: "Who buys.",
    personalData: ["name"],
    indexes: [["tier", "orders"]],
    rows: () => [{ customerId: "unknown", name: null, orders: 0, tier: "tin" }],
    ...more,
  });

describe("tables", () => {
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
  beforeEach(() =>
    database.query("DROP TABLE IF EXISTS dim_customers; DROP VIEW IF EXISTS dim_customers"),
  );

  const plan = async (table: PostgresTable<Customer>): Promise<TablePlan> =>
    (await planTables([table], pool)).at(-1) ?? assert.fail("no plan");
  const apply = (table: PostgresTable<Customer>) => applyTables([table], pool, stillClock);
  const texts = async (table: PostgresTable<Customer>) =>
    (await plan(table)).steps.map((s) => s.text);

  const isRefused = (text: RegExp) => (error: unknown) => {
    assert.ok(error instanceof ConfigErrors);
    assert.deepEqual(
      error.problems.map((p) => [p.code, text.test(p.message)]),
      [["MILL_TABLE_DIFFERS", true]],
      error.problems[0]?.message,
    );
    return true;
  };

  /** Applies, and sees that a second plan finds nothing left to do. */
  const settles = async (table: PostgresTable<Customer>): Promise<void> => {
    await apply(table);
    const again = await planTables([table], pool);
    assert.deepEqual(
      again.map(({ state, steps, rows }) => [state, steps.map((s) => s.text), rows]),
      again.map(() => ["ok", [], 0]),
    );
    assert.deepEqual(await checkTables([table], pool), []);
  };

  test("are planned without changing anything, ours first", async () => {
    const plans = await planTables([tableOf()], pool);
    assert.deepEqual(
      plans.map(({ table, state }) => `${state} ${table}`),
      [
        "create millrace.progress",
        "create millrace.letters",
        "create millrace.runs",
        "create public.dim_customers",
      ],
    );
    assert.equal(plans.at(-1)?.rows, 1);
    const problems = await checkTables([tableOf()], pool);
    assert.deepEqual(new Set(problems.map((p) => p.code)), new Set(["MILL_TABLE_MISSING"]));
    assert.equal(problems.length, 4);
  });

  test("are created once: a second apply does nothing", async () => {
    await settles(tableOf());
    const [row] = await database.query("SELECT * FROM dim_customers");
    assert.deepEqual(
      { ...row, processed_at: null },
      {
        customer_id: "unknown",
        name: null,
        orders: 0,
        tier: "tin",
        source_topic: null,
        source_partition: null,
        source_offset: "-1",
        source_timestamp: -Infinity,
        processed_at: null,
      },
    );
    const [comments] = await database.query(
      `SELECT obj_description('dim_customers'::regclass) AS "table",
        col_description('dim_customers'::regclass, 2) AS "column"`,
    );
    assert.deepEqual(comments, {
      table: "Who buys.",
      column: "It's the full name. Personal data.",
    });
  });

  test("can be applied by two operators at the same time", async () => {
    await database.query("DROP SCHEMA IF EXISTS millrace CASCADE");
    await Promise.all([apply(tableOf()), apply(tableOf()), apply(tableOf())]);
    assert.equal((await plan(tableOf())).state, "ok");
  });

  test("refuse a symbol that their enum lacks, until the enum has it", async () => {
    await settles(tableOf());
    const insert = `INSERT INTO dim_customers (customer_id, orders, tier, source_offset, source_timestamp, processed_at)
      VALUES ('a', 1, 'iron', 0, now(), now())`;
    await assert.rejects(database.query(insert), /dim_customers_tier_check/);
    const wider = tableOf(
      {},
      { tier: { type: "enum", name: "Tier", symbols: ["gold", "tin", "iron"] } },
    );
    assert.deepEqual(await texts(wider), ["tier: change the check"]);
    await settles(wider);
    await database.query(insert);
    await assert.rejects(apply(tableOf()), (error: unknown) => {
      assert.ok(error instanceof MillraceError);
      assert.match(error.message, /does not fit: 23514/);
      return true;
    });
    assert.equal((await plan(wider)).state, "ok", "the refused change was rolled back");
  });

  test("get a new nullable column, an index, a comment and a wider type", async () => {
    await settles(tableOf());
    await database.query(`ALTER TABLE dim_customers DROP COLUMN name; DROP INDEX dim_customers_tier_orders_idx;
      COMMENT ON TABLE dim_customers IS 'old'; ALTER TABLE dim_customers ALTER orders TYPE smallint`);
    assert.deepEqual((await texts(tableOf())).sort(), [
      "add an index on tier, orders",
      "add column name text",
      "change the table's comment",
      "orders: expected type integer, found smallint",
    ]);
    assert.deepEqual(
      (await checkTables([tableOf()], pool)).map((p) => p.code),
      ["MILL_TABLE_DIFFERS", "MILL_TABLE_DIFFERS"],
    );
    await settles(tableOf());
  });

  test("get a column that may not be null only with a default, or while they are empty", async () => {
    await settles(tableOf());
    await database.query("ALTER TABLE dim_customers DROP COLUMN orders");
    await assert.rejects(apply(tableOf()), isRefused(/add column orders.*NOT NULL/));
    assert.equal((await plan(tableOf())).state, "refused");
    await settles(tableOf({ columns: { orders: { default: "7" } } }));
    await database.query("DELETE FROM dim_customers; ALTER TABLE dim_customers DROP COLUMN orders");
    await settles(tableOf());
  });

  test("are never narrowed, and nothing else is done beside a refusal", async () => {
    await settles(tableOf());
    await database.query("ALTER TABLE dim_customers ALTER orders TYPE bigint, DROP COLUMN name");
    await assert.rejects(
      apply(tableOf()),
      isRefused(/orders: expected type integer, found bigint/),
    );
    const columns = await database.query(
      "SELECT FROM information_schema.columns WHERE table_name = 'dim_customers' AND column_name = 'name'",
    );
    assert.equal(columns.length, 0);
  });

  test("refuse another primary key, a view, and a column that would fail every insert", async () => {
    await settles(tableOf());
    await database.query("ALTER TABLE dim_customers DROP CONSTRAINT dim_customers_pkey");
    await assert.rejects(
      apply(tableOf()),
      isRefused(/primary key: expected customer_id, found none/),
    );
    await database.query("ALTER TABLE dim_customers ADD PRIMARY KEY (customer_id)");
    await database.query("ALTER TABLE dim_customers ADD extra int");
    assert.equal((await plan(tableOf())).state, "ok");
    await database.query("UPDATE dim_customers SET extra = 1");
    await database.query("ALTER TABLE dim_customers ALTER extra SET NOT NULL");
    await assert.rejects(apply(tableOf()), isRefused(/extra is not declared/));
    await database.query("DROP TABLE dim_customers; CREATE VIEW dim_customers AS SELECT 1 AS one");
    await assert.rejects(apply(tableOf()), isRefused(/something else than a table/));
    await database.query("DROP VIEW dim_customers");
  });

  test("keep null and not null as declared", async () => {
    await settles(tableOf());
    await database.query(
      "ALTER TABLE dim_customers ALTER name SET DEFAULT 'x', ALTER orders DROP NOT NULL",
    );
    assert.deepEqual(await texts(tableOf()), ["orders: forbid null"]);
    await settles(tableOf());
  });

  test("get their declared rows corrected, but never over a row from a topic", async () => {
    await settles(tableOf());
    const golden = tableOf({
      rows: () => [{ customerId: "unknown", name: "Nobody", orders: 0, tier: "gold" }],
    });
    assert.equal((await plan(golden)).rows, 1);
    await settles(golden);
    assert.deepEqual(await database.query("SELECT name, tier FROM dim_customers"), [
      { name: "Nobody", tier: "gold" },
    ]);
    await database.query("UPDATE dim_customers SET source_offset = 5, name = 'From a topic'");
    await settles(tableOf());
    assert.deepEqual(await database.query("SELECT name, tier FROM dim_customers"), [
      { name: "From a topic", tier: "gold" },
    ]);
  });

  test("take thousands of declared rows at once", async () => {
    const calendar = tableOf({
      rows: () =>
        [...Array(7_670).keys()].map((i) => ({
          customerId: `d${String(i)}`,
          name: null,
          orders: i,
          tier: "tin",
        })),
    });
    await settles(calendar);
    const [counted] = await database.query<{ n: string }>(
      "SELECT count(*) AS n FROM dim_customers",
    );
    assert.equal(counted?.n, "7670");
  });

  test("stand in a schema of their own where one is declared", async () => {
    await settles(tableOf({ schema: "shop" }));
    assert.equal((await database.query("SELECT FROM shop.dim_customers")).length, 1);
  });

  test("say which declared row does not fit", async () => {
    const rows = () => [{ customerId: "a", name: "\ud800", orders: 1, tier: "tin" }];
    await assert.rejects(planTables([tableOf({ rows })], pool), (error: unknown) => {
      assert.ok(error instanceof ConfigErrors);
      assert.match(error.problems[0]?.message ?? "", /declared row 1: 22021, column name/);
      return true;
    });
  });
});
