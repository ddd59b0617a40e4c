// A table with everything that hangs on it, by Postgres' catalogue: what a swap must carry over, and what it cannot.
// Whatever depends on the table and is not known here is a blocker, so a swap never leaves something behind in silence.
// Reads only, with pg_catalog alone as search path, so that every definition names its schema.
import type { PostgresSession } from "../../clients/postgres/pool.ts";

export interface Constraint {
  readonly name: string;
  /** c check · f foreign key · n not null · p primary key · u unique · x exclusion */
  readonly kind: string;
  readonly definition: string;
  readonly comment: string | null;
  /** The table that a foreign key refers to, as `schema.table`. */
  readonly refersTo: string | null;
}

/** A foreign key of another table that refers to this one. */
export interface Incoming {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly isOurs: boolean;
  readonly definition: string;
  readonly comment: string | null;
}

export interface Index {
  readonly name: string;
  /** From USING on: the same for equal indexes of two tables. */
  readonly definition: string;
  readonly isUnique: boolean;
  readonly isValid: boolean;
  /** Comes and goes with a constraint. */
  readonly isConstraint: boolean;
}

export interface Grant {
  readonly grantee: string;
  readonly privilege: string;
  readonly column: string | null;
  readonly isGrantable: boolean;
}

export interface View {
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  readonly isOurs: boolean;
  readonly definition: string;
  readonly options: readonly string[];
}

export interface Relation {
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  /** Whether our role may change it. */
  readonly isOurs: boolean;
  readonly options: readonly string[];
  readonly comment: string | null;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly constraints: readonly Constraint[];
  readonly indexes: readonly Index[];
  readonly grants: readonly Grant[];
  readonly incoming: readonly Incoming[];
  readonly views: readonly View[];
  /** Objects that cannot follow a swap, in Postgres' own words. */
  readonly blockers: readonly string[];
}

const aggregated = (fields: string, from: string, order: string): string =>
  `(SELECT coalesce(json_agg(json_build_object(${fields}) ORDER BY ${order}), '[]') FROM ${from})`;

const COLUMNS = aggregated(
  "'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)",
  "pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped",
  "a.attnum",
);

const CONSTRAINTS = aggregated(
  `'name', k.conname, 'kind', k.contype, 'definition', pg_get_constraintdef(k.oid),
   'comment', obj_description(k.oid, 'pg_constraint'),
   'refersTo', (SELECT rn.nspname || '.' || r.relname FROM pg_class r
     JOIN pg_namespace rn ON rn.oid = r.relnamespace WHERE r.oid = k.confrelid)`,
  "pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 't'",
  "k.conname",
);

const INDEXES = aggregated(
  `'name', x.relname, 'isUnique', i.indisunique, 'isValid', i.indisvalid,
   'isConstraint', EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.oid AND k.conrelid = c.oid),
   'definition', replace(pg_get_indexdef(x.oid), format(' %I ON %I.%I USING ', x.relname, n.nspname, c.relname), ' USING ')`,
  "pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid",
  "x.relname",
);

/** The owner's own rights come with the ownership. */
const GRANTS = aggregated(
  `'grantee', CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
   'privilege', g.privilege_type, 'column', g.attname, 'isGrantable', g.is_grantable`,
  `(SELECT e.grantee, e.privilege_type, e.is_grantable, NULL AS attname FROM aclexplode(c.relacl) e
    UNION ALL
    SELECT e.grantee, e.privilege_type, e.is_grantable, a.attname
    FROM pg_attribute a, aclexplode(a.attacl) e WHERE a.attrelid = c.oid AND NOT a.attisdropped) g
   WHERE g.grantee <> c.relowner`,
  "g.grantee, g.privilege_type, g.attname, g.is_grantable",
);

const INCOMING = aggregated(
  `'schema', fn.nspname, 'table', f.relname, 'name', k.conname,
   'isOurs', pg_has_role(f.relowner, 'USAGE'),
   'definition', pg_get_constraintdef(k.oid), 'comment', obj_description(k.oid, 'pg_constraint')`,
  `pg_constraint k JOIN pg_class f ON f.oid = k.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
   WHERE k.contype = 'f' AND k.confrelid = c.oid AND k.conparentid = 0 AND f.relkind = 'r'`,
  "fn.nspname, f.relname, k.conname",
);

const VIEWS = aggregated(
  `'schema', vn.nspname, 'name', v.relname, 'owner', quote_ident(pg_get_userbyid(v.relowner)),
   'isOurs', pg_has_role(v.relowner, 'USAGE'),
   'definition', pg_get_viewdef(v.oid), 'options', coalesce(to_json(v.reloptions), '[]')`,
  `pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class JOIN pg_namespace vn ON vn.oid = v.relnamespace
   WHERE r.rulename = '_RETURN' AND v.relkind = 'v' AND v.relpersistence = 'p' AND EXISTS (
     SELECT FROM pg_depend d WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
       AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)`,
  "vn.nspname, v.relname",
);

/** Everything that depends on the table or on its row type, without what this file knows how to carry. */
const DEPENDENTS = `
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what FROM pg_depend d
WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
    OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
      SELECT t.oid FROM pg_type t WHERE t.typrelid = c.oid OR t.typelem = c.reltype)))
  AND d.deptype NOT IN ('P', 'S')
  AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (
    SELECT c.oid UNION ALL SELECT c.reltoastrelid UNION ALL SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid))
  AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (
    SELECT t.oid FROM pg_type t WHERE t.typrelid = c.oid OR t.typelem = c.reltype))
  AND NOT (d.classid = 'pg_attrdef'::regclass
    AND EXISTS (SELECT FROM pg_attrdef a WHERE a.oid = d.objid AND a.adrelid = c.oid))
  AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (
    SELECT FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.conrelid WHERE k.oid = d.objid
      AND (k.conrelid = c.oid OR (k.contype = 'f' AND k.conparentid = 0 AND f.relkind = 'r'))))
  AND NOT (d.classid = 'pg_trigger'::regclass
    AND EXISTS (SELECT FROM pg_trigger t WHERE t.oid = d.objid AND t.tgisinternal))
  AND NOT (d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND EXISTS (
    SELECT FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class
    WHERE r.oid = d.objid AND r.rulename = '_RETURN' AND v.relkind = 'v' AND v.relpersistence = 'p'))`;

/** Properties that are in no dependency. */
const PROPERTIES = `
SELECT 'partition of ' || p.inhparent::regclass::text FROM pg_inherits p WHERE p.inhrelid = c.oid
UNION ALL SELECT 'row security' WHERE c.relrowsecurity OR c.relforcerowsecurity
UNION ALL SELECT 'replica identity' WHERE c.relreplident <> 'd'
UNION ALL SELECT 'publication ' || p.pubname FROM pg_publication_tables p
  WHERE p.schemaname = n.nspname AND p.tablename = c.relname
UNION ALL SELECT 'extension ' || e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass
UNION ALL SELECT 'it is no plain table' WHERE c.relkind <> 'r' OR c.relpersistence <> 'p'`;

const BLOCKERS = `(SELECT coalesce(json_agg(DISTINCT b.what ORDER BY b.what), '[]')
  FROM (${DEPENDENTS} UNION ALL ${PROPERTIES}) b(what))`;

const RELATION = `
SELECT n.nspname AS schema, c.relname AS name, quote_ident(pg_get_userbyid(c.relowner)) AS owner,
  pg_has_role(c.relowner, 'USAGE') AS "isOurs", coalesce(to_json(c.reloptions), '[]') AS options,
  obj_description(c.oid, 'pg_class') AS comment, ${COLUMNS} AS columns, ${CONSTRAINTS} AS constraints,
  ${INDEXES} AS indexes, ${GRANTS} AS grants, ${INCOMING} AS incoming, ${VIEWS} AS views, ${BLOCKERS} AS blockers
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`;

/** The relation of that name, or null. The caller has set the search path to pg_catalog. */
export async function findRelation(
  session: PostgresSession,
  schema: string,
  name: string,
): Promise<Relation | null> {
  const { rows } = await session.query<Relation>(RELATION, [schema, name]);
  return rows[0] ?? null;
}
