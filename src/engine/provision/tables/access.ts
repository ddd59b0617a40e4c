// Whether the account may write a table as it is, and what else the table has: rights, policies, rules, triggers,
// constraints, columns that nobody can write. As Postgres' catalogue says.
import type { PostgresSession } from "../../clients/postgres/pool.ts";

type AccessRight = "select" | "insert" | "update" | "delete";

export interface AccessColumn {
  readonly name: string;
  /** s: stored, v: virtual; empty: no. */
  readonly generated: string;
  /** a: always, d: by default; empty: no. */
  readonly identity: string;
  /** Its type is a domain that takes no null and has no default. */
  readonly isStrict: boolean;
  readonly rights: Readonly<Record<Exclude<AccessRight, "delete">, boolean>>;
}

export interface TriggerFacts {
  readonly name: string;
  /** pg_trigger.tgtype: bits. */
  readonly type: number;
  readonly function: string;
}

export interface FoundAccess {
  readonly role: string;
  readonly mayUseSchema: boolean;
  readonly mayDelete: boolean;
  /** Rights on the table as a whole, which columns to come have too. */
  readonly tableRights: Readonly<Record<Exclude<AccessRight, "delete">, boolean>>;
  readonly isUnlogged: boolean;
  /** Row-level security is on, for this account. */
  readonly isPoliced: boolean;
  /** Commands that a policy allows the account: a, w, r, d, or * for all. */
  readonly policies: readonly string[];
  readonly columns: readonly AccessColumn[];
  /** Rules for INSERT and UPDATE. */
  readonly rules: readonly string[];
  readonly triggers: readonly TriggerFacts[];
  /** The primary key, when it is checked later than at once. */
  readonly lateKey: string | null;
  readonly keyName: string | null;
  /** Unique indexes, checks, foreign keys and exclusions beside the key, in words. */
  readonly fences: readonly string[];
  /** Defaults that the account may not take from their sequence. */
  readonly sequences: readonly { readonly column: string; readonly sequence: string }[];
}

const listOf = (value: string, from: string): string =>
  `(SELECT coalesce(pg_catalog.json_agg(${value}), '[]') FROM ${from})`;
const may = (right: string): string =>
  `'${right}', pg_catalog.has_column_privilege(c.oid, a.attnum, '${right}')`;
const mayOnTable = (right: string): string =>
  `'${right}', pg_catalog.has_table_privilege(c.oid, '${right}')`;

const ACCESS = `
SELECT current_user AS role,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS "mayUseSchema",
  pg_catalog.has_table_privilege(c.oid, 'DELETE') AS "mayDelete",
  pg_catalog.json_build_object(${["select", "insert", "update"].map(mayOnTable).join(", ")}) AS "tableRights",
  c.relpersistence = 'u' AS "isUnlogged",
  c.relrowsecurity AND pg_catalog.row_security_active(c.oid) AS "isPoliced",
  ${listOf(
    "p.polcmd",
    `pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND EXISTS (
      SELECT FROM pg_catalog.unnest(p.polroles) AS r(id)
      WHERE r.id = 0 OR pg_catalog.pg_has_role(r.id, 'USAGE'))`,
  )} AS policies,
  ${listOf(
    `pg_catalog.json_build_object('name', a.attname, 'generated', a.attgenerated, 'identity', a.attidentity,
      'isStrict', t.typtype = 'd' AND t.typnotnull AND t.typdefault IS NULL AND NOT a.atthasdef,
      'rights', pg_catalog.json_build_object(${["select", "insert", "update"].map(may).join(", ")}))`,
    `pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`,
  )} AS columns,
  ${listOf("r.rulename", `pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '3')`)} AS rules,
  ${listOf(
    `pg_catalog.json_build_object('name', g.tgname, 'type', g.tgtype,
      'function', f.pronamespace::pg_catalog.regnamespace::text || '.' || f.proname) ORDER BY g.tgname`,
    `pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
      WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')`,
  )} AS triggers,
  (SELECT k.conname FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = c.oid AND k.contype = 'p' AND k.condeferrable) AS "lateKey",
  (SELECT k.conname FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p') AS "keyName",
  ${listOf(
    "o.fence ORDER BY o.fence",
    `(SELECT (CASE k.contype WHEN 'f' THEN 'foreign key ' WHEN 'x' THEN 'exclusion ' ELSE 'check ' END) || k.conname AS fence
      FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'f', 'x')
        AND coalesce(pg_catalog.obj_description(k.oid, 'pg_constraint'), '') NOT LIKE 'declared: %'
      UNION ALL
      SELECT 'unique index ' || x.relname FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indisprimary) o`,
  )} AS fences,
  ${listOf(
    `pg_catalog.json_build_object('column', a.attname, 'sequence',
      pg_catalog.quote_ident(sn.nspname) || '.' || pg_catalog.quote_ident(s.relname))`,
    `pg_catalog.pg_attrdef ad
      JOIN pg_catalog.pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = ad.oid
      JOIN pg_catalog.pg_class s ON s.oid = d.refobjid
      JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
      WHERE ad.adrelid = c.oid
        AND CASE WHEN s.relkind = 'S' THEN NOT pg_catalog.has_sequence_privilege(s.oid, 'USAGE') ELSE false END`,
  )} AS sequences
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`;

/** The access of the account to the table of that name; null: there is no such table. */
export async function findAccess(
  session: PostgresSession,
  schema: string,
  name: string,
): Promise<FoundAccess | null> {
  const { rows } = await session.query<FoundAccess>(ACCESS, [schema, name]);
  return rows[0] ?? null;
}
