// A live table compared with its shadow on a real Postgres.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { postgresTable } from "../../../src/engine/define/table.ts";
import { applyTables } from "../../../src/engine/provision/tables/tables.ts";
import {
  compareTables,
  isEqual,
  type ComparisonRequest,
  type RowDifference,
} from "../../../src/engine/reprocess/verify/comparison.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { stillClock } from "../postgres/fixture.ts";

interface Order {
  readonly orderId: string;
  readonly line: number;
  readonly email: string | null;
  readonly amount: string;
  readonly at: number;
}

const orders = postgresTable<Order>("orders", {
  row: avro<Order>({
    type: "record",
    name: "Order",
    fields: [
      { name: "orderId", type: "string" },
      { name: "line", type: "int" },
      { name: "email", type: ["null", "string"] },
      {
        name: "amount",
        type: { type: "bytes", logicalType: "decimal", precision: 12, scale: 2 },
      },
      { name: "at", type: { type: "long", logicalType: "timestamp-millis" } },
    ],
  }),
  key: ["orderId", "line"],
  version: "at",
  personalData: ["email"],
});
const shadow = { ...orders, name: "orders_r1" };

describe("a comparison", () => {
  let database: FreshDatabase;
  let pool: PostgresPool;
  before(async () => {
    database = await freshDatabase();
    pool = postgresPool({ url: database.url });
    await applyTables([orders, shadow], pool, stillClock);
  });
  after(async () => {
    await pool.close();
    await database.drop();
  });

  const fill = (table: string, rows: number) =>
    database.query(`INSERT INTO ${table}
      SELECT 'o' || n / 3, n % 3, 'p' || n || '@example.com', n, to_timestamp(1767225600 + n),
        '${table}-sink', n % 2, n, now() FROM generate_series(1, ${String(rows)}) n`);

  beforeEach(async () => {
    await database.query("TRUNCATE orders, orders_r1");
    await fill("orders", 3_000);
    await fill("orders_r1", 3_000);
  });

  const compare = async (more: Partial<ComparisonRequest> = {}) => {
    const told: RowDifference[] = [];
    const request = {
      table: orders,
      shadow: "orders_r1",
      pins: [],
      sinceMs: null,
      isOpen: false,
      samplesMax: 2,
      showPersonal: false,
      ...more,
    };
    const [found] = await compareTables(pool, [request], {
      onDifference: (_, difference) => void told.push(difference),
    });
    return { found: found ?? assert.fail("one is compared"), told };
  };

  test("of the same rows says equal, with equal counts and checksums, wherever they came from", async () => {
    const { found, told } = await compare();
    assert.ok(isEqual(found));
    assert.deepEqual([found.live.rows, found.shadow.rows, told], [3_000, 3_000, []]);
    assert.equal(found.live.checksum, found.shadow.checksum);
    assert.match(found.live.checksum, /^[0-9a-f]{16}$/);
  });

  test("names every key that differs, and in what", async () => {
    await database.query(`
      DELETE FROM orders_r1 WHERE order_id = 'o1' AND line = 0;
      DELETE FROM orders WHERE order_id = 'o2';
      UPDATE orders_r1 SET amount = amount + 0.01, email = NULL WHERE order_id = 'o3' AND line = 1;
      UPDATE orders_r1 SET amount = 0 WHERE order_id LIKE 'o9%'`);
    const { found, told } = await compare();
    const changed = (await database.query("SELECT FROM orders WHERE order_id LIKE 'o9%'")).length;
    assert.ok(!isEqual(found));
    assert.deepEqual(
      [found.missing, found.extra, found.different, found.newer],
      [1, 3, changed + 1, 0],
    );
    assert.deepEqual(found.columns, { amount: changed + 1, email: 1 });
    assert.equal(told.length, changed + 5);
    assert.equal(found.samples.length, 2);
    assert.notEqual(found.live.checksum, found.shadow.checksum);
    const keys = told.filter(({ kind }) => kind === "extra").map(({ key }) => key.join("/"));
    assert.deepEqual(keys.sort(), ["o2/0", "o2/1", "o2/2"]);
    const both = told.find(({ key }) => key.join("/") === "o3/1");
    assert.deepEqual(both, { kind: "different", key: ["o3", "1"], columns: ["email", "amount"] });
  });

  test("shows both sides of a sample, personal data only where it is asked for", async () => {
    await database.query(
      "UPDATE orders_r1 SET email = 'other', amount = 7 WHERE order_id = 'o5' AND line = 2",
    );
    const hidden = (await compare()).found.samples[0]?.values;
    assert.deepEqual(hidden, {
      email: { live: "***", shadow: "***" },
      amount: { live: "17.00", shadow: "7.00" },
    });
    const shown = (await compare({ showPersonal: true })).found.samples[0]?.values;
    assert.deepEqual(shown?.["email"], { live: "p17@example.com", shadow: "other" });
    const keyed = await compare({ table: { ...orders, personalData: ["orderId"] } });
    assert.match(keyed.told[0]?.key[0] ?? "", /^sha256:[0-9a-f]{16}$/);
  });

  test("counts what live has changed after the pin as newer, partition by partition", async () => {
    await database.query(`UPDATE orders SET amount = 1, source_offset = 5000 + source_offset WHERE order_id = 'o7';
      DELETE FROM orders_r1 WHERE order_id = 'o8';
      UPDATE orders SET source_topic = 'another' WHERE order_id = 'o8' AND line = 0`);
    // o7 is n 21 to 23: partitions 1, 0, 1; o8 is n 24 to 26: partitions 0, 1, 0, at old offsets.
    const pin = (...offsets: bigint[]) => ({ pins: [{ topic: "orders-sink", offsets }] });
    assert.deepEqual(counts(await compare(pin(5_000n, 5_000n))), {
      newer: 3,
      different: 0,
      missing: 3,
    });
    assert.deepEqual(counts(await compare(pin(5_000n, 9_000n))), {
      newer: 1,
      different: 2,
      missing: 3,
    });
    assert.deepEqual(counts(await compare(pin(0n, 0n))), { newer: 5, different: 0, missing: 1 });
    assert.deepEqual(counts(await compare()), { newer: 0, different: 3, missing: 3 });
  });
  const counts = ({
    found: { newer, different, missing },
  }: Awaited<ReturnType<typeof compare>>) => ({
    newer,
    different,
    missing,
  });

  test("B2: rows from before a time are not compared, on whichever side they are", async () => {
    const visits = postgresTable<{ readonly page: string; readonly n: number }>("visits", {
      row: avro({
        ...{ type: "record", name: "Visit" },
        fields: [
          { name: "page", type: "string" },
          { name: "n", type: "int" },
        ],
      }),
      key: ["page"],
    });
    await applyTables([visits, { ...visits, name: "visits_r1" }], pool, stillClock);
    const sinceMs = 1_767_225_600_000;
    const put = (table: string, page: string, n: number, afterMs: number) =>
      database.query(
        `INSERT INTO ${table} (page, n, source_topic, source_partition, source_offset, source_timestamp, processed_at)
         VALUES ($1, $2, 't', 0, 0, to_timestamp($3::float8 / 1000), now())`,
        [page, String(n), String(sinceMs + afterMs)],
      );
    for (const [name, afterMs] of [
      ["before", -1],
      ["at", 0],
    ] as const) {
      await put("visits", `missing ${name}`, 1, afterMs);
      await put("visits_r1", `extra ${name}`, 1, afterMs);
      await put("visits", `different ${name}`, 1, afterMs);
      await put("visits_r1", `different ${name}`, 2, afterMs);
      await put("visits", `same ${name}`, 1, afterMs);
      await put("visits_r1", `same ${name}`, 1, afterMs);
    }
    const { found, told } = await compare({ table: visits, shadow: "visits_r1", sinceMs });
    assert.deepEqual(told.map(({ key }) => key.join()).sort(), [
      ...["different at", "extra at", "missing at"],
    ]);
    assert.deepEqual([found.below, found.hasTimes], [3, true]);
    // A table with a version of its own says nothing of its rows' times.
    const versioned = (await compare({ sinceMs })).found;
    assert.deepEqual([versioned.below, versioned.hasTimes], [0, false]);
  });

  test("tells of a declared column that one side lacks or has otherwise", async () => {
    await database.query("ALTER TABLE orders_r1 ALTER COLUMN email TYPE varchar(99)");
    try {
      const { found } = await compare();
      assert.deepEqual([found.unlike, isEqual(found), found.different], [["email"], false, 0]);
    } finally {
      await database.query("ALTER TABLE orders_r1 ALTER COLUMN email TYPE text");
    }
  });

  test("sees both tables at one moment, however long it takes", async () => {
    const rival = await database.connect();
    let writes = 0;
    let isOver = false;
    const writing = (async () => {
      while (!isOver) {
        // The same change in both, or in neither.
        const n = String(10_000 + writes++);
        await rival.query(`WITH live AS (INSERT INTO orders VALUES ('w${n}', 0, NULL, 1, now(), 't', 0, 1, now()) RETURNING *)
          INSERT INTO orders_r1 SELECT * FROM live`);
      }
    })();
    try {
      for (let i = 0; i < 10; i++) {
        const { found } = await compare();
        assert.ok(isEqual(found));
        assert.equal(found.live.rows, found.shadow.rows);
        assert.equal(found.live.checksum, found.shadow.checksum);
      }
    } finally {
      isOver = true;
      await writing;
      await rival.end();
    }
    assert.ok(writes > 10, "the tables were written meanwhile");
  });

  test("refuses a shadow that is not there", async () => {
    await assert.rejects(compare({ shadow: "orders_r2" }), /orders_r2/);
  });
});
