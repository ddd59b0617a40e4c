// An existing table, as Postgres' catalogue describes it.
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import { named } from "./ddl.ts";

export interface FoundColumn {
  readonly name: string;
  /** As format_type() prints it. */
  readonly type: string;
  readonly nullable: boolean;
  /** It has a default or is numbered by Postgres. */
  readonly isFilled: boolean;
  readonly comment: string | null;
}

export interface FoundTable {
  /** False: something else has the name, such as a view. */
  readonly isTable: boolean;
  /** As pg_class.relkind. */
  readonly kind: string;
  readonly comment: string | null;
  readonly columns: readonly FoundColumn[];
  readonly key: readonly string[];
  readonly keyName: string | null;
  readonly indexes: readonly (readonly string[])[];
  /** Columns of the unique indexes by which a conflict can be found, the primary key's too. */
  readonly uniques: readonly (readonly string[])[];
  readonly checks: readonly { readonly name: string; readonly comment: string | null }[];
  /** Also where the account may not look. */
  readonly hasRows: boolean;
}

const CATALOGUE = `
SELECT c.relkind IN ('r', 'p') AS "isTable", c.relkind AS kind,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AS "mayLook",
  (SELECT k.conname FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p') AS "keyName",
  pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
  (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
      'isFilled', a.atthasdef OR a.attidentity <> '', 'comment', pg_catalog.col_description(c.oid, a.attnum)
    ) ORDER BY a.attnum), '[]')
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT coalesce(pg_catalog.json_agg(k.names), '[]') FROM pg_catalog.pg_index i, LATERAL (
      SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) AS names
      FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS u(attnum, n)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum) k
    WHERE i.indrelid = c.oid AND i.indisprimary) AS keys,
  (SELECT coalesce(pg_catalog.json_agg(k.names), '[]') FROM pg_catalog.pg_index i, LATERAL (
      SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) AS names
      FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS u(attnum, n)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum) k
    WHERE i.indrelid = c.oid AND i.indexprs IS NULL AND i.indpred IS NULL AND i.indisvalid) AS indexes,
  (SELECT coalesce(pg_catalog.json_agg(k.names), '[]') FROM pg_catalog.pg_index i, LATERAL (
      SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) AS names
      FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS u(attnum, n)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
      WHERE u.n <= i.indnkeyatts) k
    WHERE i.indrelid = c.oid AND i.indexprs IS NULL AND i.indpred IS NULL AND i.indisvalid
      AND i.indisunique AND i.indimmediate) AS uniques,
  (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', k.conname, 'comment', pg_catalog.obj_description(k.oid, 'pg_constraint'))), '[]')
    FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c') AS checks
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`;

type CatalogueRow = Omit<FoundTable, "key" | "hasRows"> & {
  readonly keys: readonly string[][];
  readonly mayLook: boolean;
};

/** The table of that name, or null. */
export async function findTable(
  session: PostgresSession,
  schema: string,
  name: string,
): Promise<FoundTable | null> {
  const { rows } = await session.query<CatalogueRow>(CATALOGUE, [schema, name]);
  const [row] = rows;
  if (row === undefined) return null;
  const { keys, mayLook, ...table } = row;
  const hasRows = row.isTable && (!mayLook || (await findRows(session, schema, name)));
  return { ...table, key: keys[0] ?? [], hasRows };
}

async function findRows(session: PostgresSession, schema: string, name: string): Promise<boolean> {
  // The names are those of the catalogue, so quoting is all they need.
  const target = [schema, name].map(named).join(".");
  const { rows } = await session.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM ${target}) AS found`,
  );
  return rows[0]?.found === true;
}

export async function schemaExists(session: PostgresSession, schema: string): Promise<boolean> {
  const { rows } = await session.query(`SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1`, [
    schema,
  ]);
  return rows.length > 0;
}
