// Tables that change places on a real Postgres: what hangs on them follows or is named, and a reader never notices.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { postgresTable } from "../../../src/engine/define/table.ts";
import { applyTables, planTables } from "../../../src/engine/provision/tables/tables.ts";
import { declaredNames } from "../../../src/engine/reprocess/swap/names.ts";
import {
  dressTables,
  swapObstacles,
  swapTables,
  type SwapPorts,
  type TableTurn,
} from "../../../src/engine/reprocess/swap/swap.ts";
import { systemClock } from "../../../src/engine/runtime/host/system.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";

interface Order {
  readonly orderId: string;
  readonly customerId: string;
  readonly tier: string;
}
const orders = postgresTable<Order>("orders", {
  row: avro<Order>({
    type: "record",
    name: "Order",
    fields: [
      { name: "orderId", type: "string", doc: "Its number." },
      { name: "customerId", type: "string" },
      { name: "tier", type: { type: "enum", name: "Tier", symbols: ["gold", "tin"] } },
    ],
  }),
  key: ["orderId"],
  indexes: [["customerId"]],
  description: "What was bought.",
});
const customers = postgresTable<{ customerId: string }>("customers", {
  row: avro<{ customerId: string }>({
    type: "record",
    name: "Customer",
    fields: [{ name: "customerId", type: "string" }],
  }),
  key: ["customerId"],
});
const both = [orders, customers];
const shadows = both.map((table) => ({ ...table, name: `${table.name}_r7` }));

const turnOf = (table: (typeof both)[number]): TableTurn => ({
  schema: "public",
  live: table.name,
  incoming: `${table.name}_r7`,
  retired: `${table.name}_old_7`,
  declared: declaredNames(table, `${table.name}_r7`),
});
const turns = both.map(turnOf);
const back = turns.map((turn) => ({
  ...turn,
  incoming: turn.retired,
  retired: turn.incoming,
  declared: new Map<string, string>(),
}));

describe("a swap", () => {
  let database: FreshDatabase;
  let pool: PostgresPool;
  let waits: (readonly number[])[] = [];
  before(async () => {
    database = await freshDatabase();
    pool = postgresPool({ url: database.url });
    await database.query("CREATE ROLE swap_reader").catch(() => undefined);
  });
  after(async () => {
    await pool.close();
    await database.drop();
  });
  beforeEach(async () => {
    waits = [];
    await database.query(`DROP SCHEMA IF EXISTS public, millrace CASCADE; CREATE SCHEMA public`);
    await applyTables([...both, ...shadows], pool, systemClock);
    for (const suffix of ["", "_r7"]) {
      await database.query(
        `INSERT INTO customers${suffix} SELECT 'c' || n, NULL, 0, n, now(), now() FROM generate_series(0, 9) n`,
      );
      await database.query(`INSERT INTO orders${suffix} SELECT 'o' || n, 'c' || n % 10, '${suffix === "" ? "tin" : "gold"}',
        NULL, 0, n, now(), now() FROM generate_series(1, 1000) n`);
    }
  });

  const ports = (more: Partial<SwapPorts> = {}): SwapPorts => ({
    pool,
    clock: systemClock,
    giveUpMs: 20_000,
    onWaiting: (holders) => waits.push(holders),
    ...more,
  });
  const swap = async (tables = turns, more: Partial<SwapPorts> = {}): Promise<void> => {
    await dressTables(tables, pool);
    await swapTables({ tables, alongside: async () => true }, ports(more));
  };
  const tier = async (table = "orders"): Promise<unknown> =>
    (await database.query(`SELECT DISTINCT tier FROM ${table}`)).map(
      (row) => Object.values(row)[0],
    );

  const plansAreOk = async (): Promise<void> => {
    const plans = await planTables(both, pool);
    const wrong = plans.filter(({ state }) => state !== "ok");
    assert.deepEqual(wrong, [], JSON.stringify(wrong));
  };
  /** Every name of an index or constraint, by table. */
  const names = async (table: string): Promise<unknown> =>
    database.query(
      `SELECT conname AS name FROM pg_constraint WHERE conrelid = $1::regclass
       UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = $1::regclass ORDER BY 1`,
      [table],
    );

  test("puts the shadow in the place of the live table, and an undo puts it back, name by name", async () => {
    const before = [await names("orders"), await names("orders_r7")];
    await swap();
    assert.deepEqual([await tier(), await tier("orders_old_7")], [["gold"], ["tin"]]);
    await plansAreOk();
    assert.deepEqual(await names("orders"), before[0]);
    await swap(back);
    assert.deepEqual([await tier(), await tier("orders_r7")], [["tin"], ["gold"]]);
    await plansAreOk();
    assert.deepEqual([await names("orders"), await names("orders_r7")], before);
    await swap();
    assert.deepEqual(await tier(), ["gold"]);
  });

  test("what was declared anew is what the shadow says, under the live table's names", async () => {
    const longer = {
      ...orders,
      columns: { tier: { check: "tier <> ''" } },
      indexes: [["customerId"], ["tier", "customerId"]],
    };
    await database.query("DROP TABLE orders_r7");
    await applyTables([{ ...longer, name: "orders_r7" }], pool, systemClock);
    const [turn] = turns;
    const incoming = { ...(turn as TableTurn), declared: declaredNames(longer, "orders_r7") };
    await swap([incoming]);
    const plans = await planTables([longer], pool);
    assert.deepEqual(
      plans.map(({ state }) => state),
      plans.map(() => "ok"),
    );
    const checks = (await names("orders")) as { name: string }[];
    assert.ok(checks.some(({ name }) => name === "orders_tier_customer_id_idx"));
  });

  test("views follow, with what reads them, their owner, rights and options", async () => {
    await database.query(`
      CREATE VIEW gold AS SELECT order_id, customer_id FROM orders WHERE tier = 'gold';
      CREATE VIEW per_customer WITH (security_barrier = true) AS
        SELECT c.customer_id, count(o.order_id) AS n FROM customers c LEFT JOIN gold o USING (customer_id) GROUP BY 1;
      CREATE MATERIALIZED VIEW frozen AS SELECT * FROM per_customer;
      GRANT SELECT ON gold TO swap_reader`);
    const counts = () =>
      database.query<{ n: string }>("SELECT sum(n)::text AS n FROM per_customer");
    assert.deepEqual(await counts(), [{ n: "0" }]);
    await swap();
    assert.deepEqual(await counts(), [{ n: "1000" }]);
    await database.query(
      "REFRESH MATERIALIZED VIEW frozen; DROP TABLE orders_old_7, customers_old_7",
    );
    assert.deepEqual(
      await database.query(`SELECT has_table_privilege('swap_reader', 'gold', 'SELECT') AS can,
        (SELECT reloptions::text FROM pg_class WHERE relname = 'per_customer') AS options`),
      [{ can: true, options: "{security_barrier=true}" }],
    );
  });

  test("rights, owner, storage options and hand-made indexes and checks follow, and come back", async () => {
    await database.query(`
      GRANT SELECT, INSERT ON orders TO swap_reader WITH GRANT OPTION;
      GRANT SELECT (customer_id) ON customers TO PUBLIC; GRANT SELECT ON orders_r7 TO PUBLIC;
      ALTER TABLE orders SET (fillfactor = 70, autovacuum_enabled = false);
      CREATE UNIQUE INDEX by_hand ON orders (lower(order_id), customer_id) WHERE tier = 'tin';
      ALTER TABLE orders ADD CONSTRAINT orders_no_x CHECK (order_id <> 'x'), ADD CONSTRAINT once UNIQUE (order_id, tier)`);
    const facts = () =>
      database.query(`SELECT c.relname, array(SELECT unnest(c.relacl)::text ORDER BY 1) AS acl, c.reloptions::text,
          (SELECT json_agg(a.attacl::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns,
          (SELECT json_agg(pg_get_indexdef(i.indexrelid) ORDER BY 1) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes
        FROM pg_class c WHERE c.relname IN ('orders', 'customers') ORDER BY 1`);
    const [facts1, names1] = [await facts(), await names("orders")];
    await swap();
    const sorted = (rows: object[]) =>
      JSON.stringify(rows, (_, v: unknown) =>
        Array.isArray(v) ? [...(v as unknown[])].sort() : v,
      );
    assert.equal(sorted(await facts()), sorted(facts1));
    assert.deepEqual(await names("orders"), names1);
    await swap(back);
    assert.equal(sorted(await facts()), sorted(facts1));
    assert.deepEqual(await names("orders"), names1);
  });

  test("foreign keys follow, checked: of others, of ours to others, and between tables that swap", async () => {
    await database.query(`
      CREATE TABLE regions (region text PRIMARY KEY); CREATE TABLE notes (order_id text, text text);
      INSERT INTO notes VALUES ('o1', 'a'); INSERT INTO regions VALUES ('c1');
      ALTER TABLE orders ADD CONSTRAINT of_customer FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE;
      ALTER TABLE notes ADD CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES orders DEFERRABLE;
      COMMENT ON CONSTRAINT of_order ON notes IS 'kept';
      ALTER TABLE customers ADD CONSTRAINT of_region FOREIGN KEY (customer_id) REFERENCES regions NOT VALID`);
    const keys = () =>
      database.query(`SELECT conrelid::regclass::text AS "table", conname, pg_get_constraintdef(oid) AS definition,
        obj_description(oid) AS comment, convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2`);
    const before = await keys();
    assert.equal(before.length, 3);
    await swap();
    assert.deepEqual(await keys(), before);
    await database.query("DROP TABLE orders_old_7, customers_old_7");
    await assert.rejects(database.query("DELETE FROM orders WHERE order_id = 'o1'"), /of_order/);
    await assert.rejects(database.query("INSERT INTO notes VALUES ('nobody', '')"), /of_order/);
  });

  test("a foreign key that the shadow's rows break leaves everything as it was", async () => {
    await database.query(`CREATE TABLE notes (order_id text REFERENCES orders); INSERT INTO notes VALUES ('o1');
      DELETE FROM orders_r7 WHERE order_id = 'o1'`);
    await assert.rejects(swap(), /23503 foreign key violation/);
    assert.deepEqual(await tier(), ["tin"]);
    assert.deepEqual((await database.query("SELECT FROM notes")).length, 1);
  });

  const obstacles: readonly (readonly [string, RegExp])[] = [
    [
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER loud AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f()",
      /trigger loud on/,
    ],
    ["CREATE RULE quiet AS ON DELETE TO orders DO INSTEAD NOTHING", /rule quiet on/],
    ["CREATE MATERIALIZED VIEW frozen AS SELECT * FROM orders", /materialized view/],
    ["CREATE PUBLICATION changes FOR TABLE orders", /publication changes|of publication/],
    ["CREATE PUBLICATION whole FOR ALL TABLES", /publication whole/],
    ["ALTER TABLE orders ENABLE ROW LEVEL SECURITY", /row security/],
    ["CREATE POLICY mine ON orders USING (true)", /policy mine/],
    [
      "CREATE FUNCTION newest() RETURNS SETOF orders LANGUAGE sql AS 'SELECT * FROM orders'",
      /function public.newest\(\)/,
    ],
    ["CREATE TABLE archive (id int, was orders)", /column was of table public.archive/],
    ["CREATE TABLE child () INHERITS (orders)", /table public.child/],
    ["CREATE VIEW whole_rows AS SELECT o FROM orders o", /whole_rows/],
    [
      "CREATE STATISTICS both_columns ON customer_id, tier FROM orders",
      /statistics object public.both_columns/,
    ],
    ["ALTER TABLE orders REPLICA IDENTITY FULL", /replica identity/],
    ["ALTER TABLE orders ADD COLUMN by_hand serial", /by_hand/],
    ["ALTER TABLE orders ADD COLUMN by_hand text", /column by_hand is not in orders_r7/],
    [
      "ALTER TABLE orders_r7 ALTER COLUMN tier TYPE varchar(9)",
      /column tier: text, in orders_r7 character varying/,
    ],
    ["ALTER TABLE orders_r7 DROP CONSTRAINT orders_r7_pkey", /primary key of orders_r7/],
    ["CREATE TABLE orders_old_7 (id int)", /orders_old_7 is there already/],
    ["DROP TABLE orders_r7", /orders_r7 is not there/],
  ];
  for (const [statement, named] of obstacles)
    test(`is refused, with the name, after: ${statement.slice(0, 70)}`, async () => {
      await database.query(statement);
      const found = await swapObstacles(turns, pool);
      assert.ok(
        found.some((line) => named.test(line)),
        JSON.stringify(found),
      );
      await assert.rejects(swap(), (error: unknown) => {
        assert.ok(error instanceof MillraceError);
        assert.deepEqual([error.code, named.test(error.message)], ["MILL_SWAP_REFUSED", true]);
        return true;
      });
      assert.deepEqual(await tier(), ["tin"]);
      await database.query("DROP PUBLICATION IF EXISTS changes, whole");
    });

  test("nothing is in the way of plain tables", async () => {
    assert.deepEqual(await swapObstacles(turns, pool), []);
  });

  test("and what is decided beside it are one: neither without the other", async () => {
    await database.query("CREATE TABLE said (n int)");
    const say = {
      tables: turns,
      alongside: async (session: { query(sql: string): Promise<unknown> }) => {
        await session.query("INSERT INTO public.said VALUES (1)");
        return true;
      },
    };
    await database.query("CREATE MATERIALIZED VIEW frozen AS SELECT * FROM orders");
    await assert.rejects(swapTables(say, ports()));
    assert.equal((await database.query("SELECT FROM said")).length, 0);
    await database.query("DROP MATERIALIZED VIEW frozen");
    await swapTables(say, ports());
    assert.equal((await database.query("SELECT FROM said")).length, 1);
    // Decided before: nothing is changed again.
    await swapTables({ tables: turns, alongside: async () => false }, ports());
    assert.deepEqual(await tier(), ["gold"]);
  });

  test("a reader in a loop sees the one or the other, whole, and never an error", async () => {
    await database.query(
      "CREATE VIEW seen AS SELECT o.tier, o.order_id FROM orders o JOIN customers c USING (customer_id)",
    );
    let isOver = false;
    const figures = new Set<string>();
    let reads = 0;
    const statements = [
      "SELECT count(*) AS n, min(tier) AS low, max(tier) AS high FROM orders o JOIN customers c USING (customer_id)",
      "SELECT count(*) AS n, min(tier) AS low, max(tier) AS high FROM seen",
      "SELECT count(*) AS n, min(tier) AS low, max(tier) AS high FROM customers c JOIN orders o USING (customer_id) JOIN seen s USING (order_id, tier)",
    ];
    const read = async (statement: string): Promise<void> => {
      const client = await database.connect();
      while (!isOver) {
        const { rows } = await client.query<{ n: string; low: string; high: string }>(statement);
        figures.add(Object.values(rows[0] ?? {}).join(" "));
        reads++;
      }
      await client.end();
    };
    const reading = [...statements, ...statements].map(read);
    for (let i = 0; i < 3; i++) {
      await swap();
      await swap(back);
    }
    isOver = true;
    await Promise.all(reading);
    assert.deepEqual([...figures].sort(), ["1000 gold gold", "1000 tin tin"]);
    assert.ok(reads > 100, `${String(reads)} reads`);
  });

  test("waits for a long reader in short tries, so that others go on reading, and names it when it gives up", async () => {
    const long = await database.connect();
    const { rows } = await long.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    await dressTables(turns, pool);
    // It begins after the wait for older readers: only the lock is in the way.
    let isHeld = false;
    const alongside = async (): Promise<boolean> => {
      if (!isHeld) await long.query("BEGIN; SELECT FROM customers");
      isHeld = true;
      return true;
    };
    const swapping = swapTables({ tables: turns, alongside }, ports({ giveUpMs: 4_000 }));
    let isOver = false;
    const refusal = assert.rejects(swapping, (error: unknown) => {
      assert.ok(error instanceof MillraceError && error.code === "MILL_SWAP_BUSY");
      assert.match(error.message, new RegExp(`by process .*\\b${String(rows[0]?.pid)}\\b`));
      return true;
    });
    const end = refusal.finally(() => (isOver = true));
    let slowestMs = 0;
    while (!isOver) {
      const startMs = performance.now();
      assert.deepEqual(await tier(), ["tin"]);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
    }
    await end;
    assert.ok(waits.length > 1, "there was more than one try");
    assert.ok(slowestMs < 2_500, `a reader waited for ${String(slowestMs)} ms`);
    const later = swapTables({ tables: turns, alongside }, ports());
    await long.query("COMMIT");
    await later;
    assert.deepEqual(await tier(), ["gold"]);
    await long.end();
  });

  test("waits for whoever reads as of a moment when the shadow was not complete", async () => {
    const old = await database.connect();
    await old.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    await database.query(
      "INSERT INTO orders_r7 SELECT 'late' || n, 'c1', 'gold', NULL, 0, n, now(), now() FROM generate_series(1, 500) n",
    );
    let isSwapped = false;
    const swapping = swap().then(() => (isSwapped = true));
    while (waits.length < 2 && !isSwapped) await systemClock.sleep(50);
    assert.equal(isSwapped, false);
    const { rows } = await old.query<{ n: number }>("SELECT count(*)::int AS n FROM orders");
    assert.equal(rows[0]?.n, 1_000);
    await old.query("COMMIT");
    await swapping;
    assert.equal((await database.query("SELECT FROM orders")).length, 1_500);
    await old.end();
  });

  test("is stopped by a vacuum for a moment only", async () => {
    const vacuum = await database.connect();
    await vacuum.query("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE");
    const swapping = swap();
    while (waits.length < 1) await systemClock.sleep(50);
    await vacuum.query("COMMIT");
    await swapping;
    assert.deepEqual(await tier(), ["gold"]);
    await vacuum.end();
  });
});
