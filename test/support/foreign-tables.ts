// All that a table is beside its rows, to see that nothing of it has changed, and a sink's rows in it.
import assert from "node:assert/strict";
import type { PostgresTable } from "#engine";
import type { PostgresPool } from "../../src/engine/clients/postgres/pool.ts";
import { emptyLedger } from "../../src/engine/core/ledger.ts";
import { postgresTableStore } from "../../src/engine/sinks/postgres/table-store.ts";
import type { FreshDatabase } from "./fresh-database.ts";

export interface TableState {
  readonly comment: string | null;
  readonly owner: string;
  readonly rights: string | null;
  readonly secured: boolean;
  readonly columns: readonly { readonly name: string; readonly comment: string | null }[];
  readonly checks: readonly { readonly name: string }[];
  readonly constraints: readonly string[];
  readonly indexes: readonly string[];
  readonly triggers: readonly string[];
  /** The rows, as text in order. */
  readonly rows: readonly string[];
}

const STATE = `
SELECT obj_description(c.oid, 'pg_class') AS comment, c.relowner::regrole::text AS owner, c.relacl::text AS rights,
  c.relrowsecurity AS secured,
  (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
      'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated, 'identity', a.attidentity, 'rights', a.attacl::text,
      'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT coalesce(json_agg(json_build_object('name', k.conname, 'is', pg_get_constraintdef(k.oid),
      'comment', obj_description(k.oid, 'pg_constraint')) ORDER BY k.conname), '[]')
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c') AS checks,
  (SELECT coalesce(json_agg(k.conname || ' ' || pg_get_constraintdef(k.oid) ORDER BY k.conname), '[]')
    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'c') AS constraints,
  (SELECT coalesce(json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid::regclass::text), '[]')
    FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
  (SELECT coalesce(json_agg(pg_get_triggerdef(t.oid) ORDER BY t.tgname), '[]')
    FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) AS triggers
FROM pg_class c WHERE c.oid = $1::regclass`;

export async function tableState(
  database: FreshDatabase,
  schema: string,
  name: string,
): Promise<TableState> {
  const target = `"${schema}"."${name}"`;
  const [facts] = await database.query<Omit<TableState, "rows">>(STATE, [target]);
  assert.ok(facts !== undefined);
  const rows = await database.query<{ text: string }>(
    `SELECT t::text AS text FROM ${target} t ORDER BY 1`,
  );
  return { ...facts, rows: rows.map(({ text }) => text) };
}

let tasks = 0;

/** Writes rows as the sink task of a new topic does; returns how many the table took. Refused rows fail the test. */
export async function rowsWritten(
  pool: PostgresPool,
  table: PostgresTable<never>,
  rows: readonly (readonly unknown[])[],
): Promise<number> {
  const clock = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep: () => Promise.resolve(),
  };
  const store = postgresTableStore(pool, table as never, { clock });
  const task = {
    pipeline: "foreign",
    part: table.name,
    topic: `topic-${String(++tasks)}`,
    partition: 0,
  };
  const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
  const result = await store.commit({
    ...{ task, epoch, expectedOffset: 0n, nextOffset: BigInt(rows.length), letters: [] },
    rows: rows.map((values, index) => ({ values, index, offset: BigInt(index), timestamp: 1_000 })),
    refused: (_, { message }) => assert.fail(message),
    ledger: emptyLedger,
  });
  return [...result.written].length;
}
