// What goes wrong with a database: each fault is seen to fire, is told apart from bad rows, and costs nothing but time.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PostgresError } from "../../../src/engine/clients/postgres/fault.ts";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type {
  SinkCommit,
  SinkResult,
  SinkRow,
  SinkTaskId,
} from "../../../src/engine/core/ports.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { contractTable } from "../../contract/table-store.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { postgresFixture, stillClock, type PostgresFixture } from "./fixture.ts";

const aRow = (offset: number, orderId: string, amount = offset): SinkRow => ({
  values: [orderId, amount, 1_000 + offset],
  index: offset,
  offset: BigInt(offset),
  timestamp: 0,
});

const noLetters = (): never => {
  throw new Error("a fault of the database must not become a dead letter");
};

let tasks = 0;
const aTask = (): SinkTaskId => ({
  pipeline: "faults",
  part: "contract_orders",
  topic: `faults-${String(++tasks)}`,
  partition: 0,
});

const is = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof MillraceError, String(error));
  assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
  return true;
};
const away = (text: RegExp) => is("MILL_POSTGRES_UNAVAILABLE", text);

/** Counts transactions, so that a test sees a silent retry. */
const counting = (pool: PostgresPool): { pool: PostgresPool; count(): number } => {
  let count = 0;
  return {
    pool: {
      address: pool.address,
      query: (text, values) => pool.query(text, values),
      lock: (name) => pool.lock(name),
      close: () => pool.close(),
      transaction: (work) => {
        count++;
        return pool.transaction(work);
      },
    },
    count: () => count,
  };
};

describe("a sink on a Postgres that fails", () => {
  let fixture: PostgresFixture;
  before(async () => {
    fixture = await postgresFixture([contractTable]);
  });
  after(() => fixture.close());

  const started = async (pool: PostgresPool = fixture.pool) => {
    const store = postgresTableStore(pool, contractTable, { clock: stillClock });
    const task = aTask();
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    const commitOf = (rows: readonly SinkRow[]): SinkCommit => ({
      task,
      epoch,
      expectedOffset: 0n,
      nextOffset: 100n,
      rows,
      letters: [],
      refused: noLetters,
      ledger: emptyLedger,
    });
    return { store, task, id: (key: string) => `${task.topic}-${key}`, commitOf };
  };

  const rival = async () => {
    const client = await fixture.database.connect();
    const end = async (): Promise<void> => {
      await client.query("ROLLBACK");
      await client.end();
    };
    return { client, end };
  };

  const waitUntil = async (condition: string): Promise<void> => {
    for (let i = 0; i < 6_000; i++) {
      const [row] = await fixture.database.query<{ ok: boolean }>(`SELECT (${condition}) AS ok`);
      if (row?.ok === true) return;
      await sleep(10);
    }
    assert.fail(`never saw ${condition}`);
  };
  const someoneWaits = `EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND application_name = 'millrace')`;
  const stored = async (ids: readonly string[]) =>
    (
      await fixture.database.query<{ amount: string }>(
        "SELECT amount FROM contract_orders WHERE order_id = ANY($1) ORDER BY order_id",
        [ids],
      )
    ).map(({ amount }) => Number(amount));

  test("tries again at once when it loses a deadlock", async (t) => {
    const { client, end } = await rival();
    // The rival is part of the deadlock when ours looks for one, and looks last: ours is the one that is cancelled.
    const setting = (change: string): Promise<unknown> =>
      client.query(
        `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I ${change}', current_database()); END $$`,
      );
    await setting("SET deadlock_timeout = 5000");
    t.after(() => setting("RESET deadlock_timeout").then(end));
    const pool = postgresPool({ url: fixture.database.url, lockTimeoutMs: 30_000 });
    t.after(() => pool.close());
    const counted = counting(pool);
    const { store, id, commitOf } = await started(counted.pool);
    await store.commit(commitOf([aRow(0, id("a")), aRow(1, id("b"))]));
    const other = await started(counted.pool);
    await client.query("SET deadlock_timeout = '60s'; BEGIN");
    await client.query("UPDATE contract_orders SET amount = 50 WHERE order_id = $1", [id("b")]);
    const before = counted.count();
    const rows = [aRow(10, id("a")), aRow(11, id("b"))];
    const committed = (): Promise<SinkResult> => other.store.commit(other.commitOf(rows));
    // A rival that wakes late finds the rows locked anew: a second deadlock in a row is the task's to try again.
    const commit = committed().catch((error: unknown) => {
      assert.equal(error instanceof PostgresError && error.facts.sqlState, "40P01");
      return committed();
    });
    await waitUntil(someoneWaits);
    await client.query("UPDATE contract_orders SET amount = 60 WHERE order_id = $1", [id("a")]);
    await client.query("COMMIT");
    assert.deepEqual([...(await commit).written].sort(), [10, 11]);
    assert.ok(counted.count() - before >= 2, "the deadlock did not happen");
    assert.deepEqual(await stored([id("a"), id("b")]), [10, 11]);
  });

  test("never deadlocks with another worker over the same keys", async (t) => {
    const pool = postgresPool({ url: fixture.database.url });
    t.after(() => pool.close());
    const counted = counting(pool);
    const keys = [...Array(300).keys()].map((i) => `shared-${String(i)}`);
    const before = counted.count();
    const commits = [...Array(8).keys()].map(async (n) => {
      const { store, commitOf } = await started(counted.pool);
      const order = n % 2 === 0 ? keys : keys.toReversed();
      await store.commit(commitOf(order.map((key, i) => aRow(n * 1_000 + i, key))));
    });
    await Promise.all(commits);
    assert.equal(counted.count() - before, 8, "a conflict was retried");
  });

  test("waits for a lock only so long, then asks for a retry that succeeds", async () => {
    const { store, id, commitOf } = await started();
    const { client, end } = await rival();
    await client.query("BEGIN; LOCK TABLE contract_orders");
    const commit = commitOf([aRow(0, id("a"))]);
    await assert.rejects(store.commit(commit), away(/55P03/));
    await end();
    assert.deepEqual([...(await store.commit(commit)).written], [0]);
  });

  test("asks for a retry after a statement timeout, and nothing was written", async (t) => {
    const pool = postgresPool({
      url: fixture.database.url,
      lockTimeoutMs: 5_000,
      statementTimeoutMs: 300,
    });
    t.after(() => pool.close());
    const { store, id, commitOf } = await started(pool);
    const { client, end } = await rival();
    await client.query("BEGIN; LOCK TABLE contract_orders");
    const commit = commitOf([aRow(0, id("a"))]);
    await assert.rejects(store.commit(commit), away(/57014/));
    await end();
    assert.deepEqual(await stored([id("a")]), []);
    await store.commit(commit);
  });

  test("asks for a retry while the database is read-only, and finds the new primary by itself", async () => {
    const { store, id, commitOf } = await started();
    const [db] = await fixture.database.query<{ n: string }>("SELECT current_database() AS n");
    const sessions = "datname = current_database() AND pid <> pg_backend_pid()";
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${sessions}`;
    await fixture.database.query(`ALTER DATABASE ${db?.n} SET default_transaction_read_only = on`);
    await fixture.database.query(cut);
    await sleep(50);
    const commit = commitOf([aRow(0, id("a"))]);
    await assert.rejects(store.commit(commit), away(/25006/));
    const { client, end } = await rival();
    await client.query("SET default_transaction_read_only = off");
    await client.query(`ALTER DATABASE ${db?.n} RESET default_transaction_read_only`);
    await end();
    await store.commit(commit);
    assert.deepEqual(await stored([id("a")]), [0]);
  });

  test("asks for a retry when its connection is terminated in the middle", async () => {
    const { store, id, commitOf } = await started();
    const { client, end } = await rival();
    await client.query("BEGIN; LOCK TABLE contract_orders");
    const commit = commitOf([aRow(0, id("a"))]);
    const failed = assert.rejects(store.commit(commit), away(/57P01|no answer/));
    await waitUntil(someoneWaits);
    await fixture.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'millrace' AND wait_event_type = 'Lock'`,
    );
    await failed;
    await end();
    await store.commit(commit);
    assert.deepEqual(await stored([id("a")]), [0]);
  });

  test("asks for a retry when the network falls silent", async (t) => {
    const { proxy, url } = await FaultProxy.forUrl(fixture.database.url);
    t.after(() => proxy.close());
    const pool = postgresPool({ url, statementTimeoutMs: 100, connectTimeoutMs: 2_000 });
    t.after(() => pool.close());
    const { store, id, commitOf } = await started(pool);
    proxy.silence(true);
    await assert.rejects(store.commit(commitOf([aRow(0, id("a"))])), away(/no answer/));
    proxy.silence(false);
    proxy.cutAll();
    await store.commit(commitOf([aRow(0, id("a"))]));
  });

  test("a frozen process keeps its rows locked for a moment only", async (t) => {
    const pool = postgresPool({ url: fixture.database.url, pauseTimeoutMs: 500 });
    const wakes = Promise.withResolvers<void>();
    t.after(() => {
      wakes.resolve();
      return pool.close();
    });
    const first = await started();
    await first.store.commit(first.commitOf([aRow(0, first.id("a"))]));
    const locks = Promise.withResolvers<void>();
    const frozen = pool.transaction(async (session) => {
      await session.query("UPDATE contract_orders SET amount = 50 WHERE order_id = $1", [
        first.id("a"),
      ]);
      locks.resolve();
      await wakes.promise;
      return session.query("SELECT 1");
    });
    const refused = assert.rejects(frozen, away(/25P03|no answer/));
    await locks.promise;
    const next = await started();
    await next.store.commit(next.commitOf([aRow(7, first.id("a"))]));
    wakes.resolve();
    await refused;
    assert.deepEqual(await stored([first.id("a")]), [7]);
  });

  test("halts, without a dead letter, when a column has gone", async () => {
    const { store, task, id, commitOf } = await started();
    await fixture.database.query("ALTER TABLE contract_orders RENAME COLUMN amount TO sum");
    const commit = commitOf([aRow(0, id("a")), aRow(1, id("b"))]);
    await assert.rejects(store.commit(commit), is("MILL_TABLE_DIFFERS", /42703.*amount/));
    assert.equal((await store.progress(task))?.nextOffset, 0n);
    await fixture.database.query("ALTER TABLE contract_orders RENAME COLUMN sum TO amount");
    await store.commit(commit);
  });

  test("halts when the table has gone", async () => {
    const { store, id, commitOf } = await started();
    await fixture.database.query("ALTER TABLE contract_orders RENAME TO elsewhere");
    const commit = commitOf([aRow(0, id("a"))]);
    await assert.rejects(store.commit(commit), is("MILL_TABLE_DIFFERS", /42P01/));
    await fixture.database.query("ALTER TABLE elsewhere RENAME TO contract_orders");
  });

  test("halts when the account may not write", async (t) => {
    const { task, id, commitOf } = await started();
    const reader = `reader_${String(Math.trunc(Math.random() * 1e9))}`;
    await fixture.database.query(
      `CREATE ROLE ${reader} LOGIN PASSWORD 'right'; GRANT USAGE ON SCHEMA millrace TO ${reader};
       GRANT SELECT, UPDATE ON millrace.progress TO ${reader}`,
    );
    const url = new URL(fixture.database.url);
    url.username = reader;
    url.password = "right";
    const pool = postgresPool({ url: url.href });
    t.after(() => pool.close());
    const store = postgresTableStore(pool, contractTable, { clock: stillClock });
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    const commit = { ...commitOf([aRow(0, id("a"))]), epoch };
    await assert.rejects(
      store.commit(commit),
      is(
        "MILL_POSTGRES_AUTH",
        /42501 .*needs SELECT, INSERT, UPDATE; for the grants: npx millrace acls/,
      ),
    );
    await fixture.database.query(`DROP OWNED BY ${reader}; DROP ROLE ${reader}`);
  });

  test("sends a commit again when its COMMIT never arrived", async () => {
    const { store, id, commitOf } = await started();
    const { cuts } = fixture.proxy;
    fixture.proxy.cutOnce({ direction: "to-server", at: "COMMIT\0", forward: false });
    const commit = commitOf([aRow(0, id("a"))]);
    await assert.rejects(store.commit(commit), away(/COMMIT/));
    assert.equal(fixture.proxy.cuts, cuts + 1);
    assert.deepEqual(await stored([id("a")]), []);
    assert.deepEqual([...(await store.commit(commit)).written], [0]);
  });

  test("finds out on the next try that a commit succeeded while the database was away", async () => {
    const { store, id, commitOf } = await started();
    fixture.proxy.cutOnce({ direction: "to-server", at: "COMMIT\0", forward: true });
    const commit = commitOf([aRow(0, id("a"))]);
    fixture.proxy.refuse(true);
    await assert.rejects(store.commit(commit), away(/no answer|ECONN/));
    await assert.rejects(store.commit(commit), away(/no answer|ECONN/));
    fixture.proxy.refuse(false);
    await waitUntil(`EXISTS (SELECT FROM contract_orders WHERE order_id = '${id("a")}')`);
    // A second write of the row would be stale: this is the first one's result.
    assert.deepEqual([...(await store.commit(commit)).written], [0]);
  });

  test("is fenced when another took over while its commit was unknown", async () => {
    const { store, task, id, commitOf } = await started();
    fixture.proxy.cutOnce({ direction: "to-server", at: "COMMIT\0", forward: true });
    fixture.proxy.refuse(true);
    const commit = commitOf([aRow(0, id("a"))]);
    await assert.rejects(store.commit(commit), away(/no answer|ECONN/));
    fixture.proxy.refuse(false);
    const other = postgresTableStore(fixture.pool, contractTable, { clock: stillClock });
    await waitUntil(`EXISTS (SELECT FROM contract_orders WHERE order_id = '${id("a")}')`);
    assert.equal((await other.takeOver(task, () => Promise.resolve(0n))).nextOffset, 100n);
    await assert.rejects(store.commit(commit), is("MILL_SINK_FENCED", /epoch/));
  });

  test("refuses a wrong password and a missing database for good", async (t) => {
    const missing = new URL(fixture.database.url);
    missing.pathname = "/no_such_database";
    const pool = postgresPool({ url: missing.href });
    t.after(() => pool.close());
    await assert.rejects(pool.query("SELECT 1"), is("MILL_POSTGRES_REFUSED", /3D000/));
  });

  test("asks for a retry when the pool is exhausted", async (t) => {
    const pool = postgresPool({
      url: fixture.database.url,
      connectionsMax: 1,
      connectTimeoutMs: 200,
    });
    t.after(() => pool.close());
    await pool.transaction(async () => {
      await assert.rejects(pool.query("SELECT 1"), away(/no answer/));
    });
    await pool.query("SELECT 1");
  });
});
