// Readers that began before a table was complete. A rename is seen by every transaction at once, but rows are seen as of its
// snapshot: one that is older than the shadow's last row would read a shadow half filled under the live name. So a swap
// waits until all transactions have ended that were open when the shadow was done.
import type { PostgresSession } from "../../clients/postgres/pool.ts";

export interface OldReader {
  readonly pid: number;
  /** Names the transaction as long as it lasts. */
  readonly id: string;
}

/**
 * Transactions that are open now, without our own. A transaction that holds no snapshot, as Postgres shows it, is left
 * out; one that Postgres hides from our role is not.
 */
export async function openTransactions(session: PostgresSession): Promise<readonly OldReader[]> {
  const { rows } = await session.query<OldReader>(
    `SELECT l.pid, l.virtualxid AS id FROM pg_catalog.pg_locks l
     JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'virtualxid' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
       AND a.datname = pg_catalog.current_database() AND (a.backend_xmin IS NOT NULL OR a.state IS NULL)
       AND coalesce(a.backend_type, '') <> 'autovacuum worker'`,
  );
  return rows;
}

/** The transactions of `earlier` that are still open. */
export async function stillOpen(
  session: PostgresSession,
  earlier: readonly OldReader[],
): Promise<readonly OldReader[]> {
  if (earlier.length === 0) return [];
  const now = await openTransactions(session);
  return earlier.filter(({ pid, id }) => now.some((other) => other.pid === pid && other.id === id));
}
