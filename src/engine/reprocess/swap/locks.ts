// Locks of a swap, taken so that a reader waits for a moment and never for long, and is never the victim of a deadlock: all
// waits of one attempt together stay below Postgres' deadlock check. They go out at once, so that no reader comes between.
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import { targetOf } from "./names.ts";
import type { Relation, View } from "./relation.ts";

export interface Locked {
  readonly views: readonly View[];
  readonly tables: readonly Pick<Relation, "schema" | "name">[];
}

/** Throws with SQLSTATE 57014 when it takes longer than the budget. */
export async function takeLocks(
  session: PostgresSession,
  { views, tables }: Locked,
  budgetMs: number,
): Promise<void> {
  const { rows } = await session.query<{ was: string }>(
    "SELECT pg_catalog.current_setting('statement_timeout') AS was",
  );
  const eachMs = Math.max(20, Math.floor(budgetMs / (views.length + 1)));
  const targets = tables.map((table) => `ONLY ${targetOf(table)}`).join(", ");
  const statements = [
    `SET LOCAL statement_timeout = ${String(eachMs)}`,
    // A view is locked by a change that changes nothing: LOCK would reach through it to the tables of others.
    ...views.map((view) => `ALTER VIEW ${targetOf(view)} OWNER TO ${view.owner}`),
    `LOCK TABLE ${targets} IN ACCESS EXCLUSIVE MODE`,
    `SET LOCAL statement_timeout = '${rows[0]?.was ?? "0"}'`,
  ];
  await session.query(statements.join("; "));
}

/** Milliseconds after which Postgres looks for a deadlock. */
export async function deadlockCheckMs(session: PostgresSession): Promise<number> {
  const { rows } = await session.query<{ ms: string }>(
    "SELECT setting AS ms FROM pg_settings WHERE name = 'deadlock_timeout'",
  );
  return Number(rows[0]?.ms ?? 1_000);
}

/** Waits long enough on each table that Postgres ends an autovacuum in the way; readers and writers do not notice. */
export async function endAutovacuum(
  session: PostgresSession,
  table: Pick<Relation, "schema" | "name">,
  checkMs: number,
): Promise<void> {
  await session.query(`SET LOCAL lock_timeout = ${String(checkMs + 1_000)}`);
  await session.query(`LOCK TABLE ONLY ${targetOf(table)} IN SHARE UPDATE EXCLUSIVE MODE`);
}

/** The processes with locks on the tables, as process ids of the server. */
export async function holdersOf(
  session: PostgresSession,
  tables: Locked["tables"],
): Promise<readonly number[]> {
  const { rows } = await session.query<{ pid: number }>(
    `SELECT DISTINCT l.pid FROM pg_catalog.pg_locks l
     JOIN pg_catalog.pg_class c ON c.oid = l.relation
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN unnest($1::text[], $2::text[]) AS t(schema, name) ON t.schema = n.nspname AND t.name = c.relname
     WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid()
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
     ORDER BY l.pid`,
    [arrayOf(tables.map(({ schema }) => schema)), arrayOf(tables.map(({ name }) => name))],
  );
  return rows.map(({ pid }) => pid);
}

const arrayOf = (texts: readonly string[]): string =>
  `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
