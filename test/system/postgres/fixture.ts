// A fresh database with our tables and a pool on it, optionally behind a proxy that misbehaves.
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import type { Clock } from "../../../src/engine/core/ports.ts";
import { applyTables, type DeclaredTable } from "../../../src/engine/provision/tables/tables.ts";
import { FaultProxy } from "../../support/fault-proxy.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";

/** A clock that stands still; nothing here sleeps. */
export const stillClock: Clock = {
  now: () => 1_767_225_600_123,
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
};

export interface PostgresFixture {
  readonly database: FreshDatabase;
  readonly proxy: FaultProxy;
  /** Through the proxy, with short limits. */
  readonly pool: PostgresPool;
  close(): Promise<void>;
}

export async function postgresFixture(tables: readonly DeclaredTable[]): Promise<PostgresFixture> {
  const database = await freshDatabase();
  const setUp = postgresPool({ url: database.url });
  await applyTables(tables, setUp, stillClock);
  await setUp.close();
  const { proxy, url } = await FaultProxy.forUrl(database.url);
  const pool = postgresPool({
    url,
    connectTimeoutMs: 1_000,
    statementTimeoutMs: 2_000,
    lockTimeoutMs: 1_000,
  });
  return {
    database,
    proxy,
    pool,
    close: async () => {
      await pool.close();
      await proxy.close();
      await database.drop();
    },
  };
}
