// The settings that each session needs beside those that role, database and address have set for it. Only what would
// break our own statements or their limits is set: everything else, search_path, DateStyle, TimeZone and the like, is
// the user's, so that a trigger works as it does by hand.
import type pg from "pg";
import { refusedForGood, unavailable } from "./fault.ts";

export interface SessionLimits {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly pauseTimeoutMs: number;
}

/** Throws when the server cannot be used: a standby, or a path on which built-in names mean something else. */
export async function prepareSession(
  client: pg.ClientBase,
  limits: SessionLimits,
  address: string,
): Promise<void> {
  const { rows } = await client.query<SessionFacts>(FACTS);
  const [facts] = rows;
  // Progress on a standby may be old: always the primary.
  if (facts?.standby !== false) throw unavailable("it is a standby", address);
  const settings = settingsOf(limits, Number(facts.version));
  const calls = settings.map(
    (_, i) => `pg_catalog.set_config($${String(2 * i + 1)}, $${String(2 * i + 2)}, false)`,
  );
  await client.query(`SELECT ${calls.join(", ")}`, settings.flat());
  await checkPath(client, facts.path, address);
}

interface SessionFacts {
  readonly standby: boolean;
  readonly version: string;
  /** The schemas in which names are looked up, in order. */
  readonly path: readonly string[];
}

const FACTS = `SELECT pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_setting('server_version_num') AS version,
  pg_catalog.array_to_json(pg_catalog.current_schemas(true)) AS path`;

function settingsOf(limits: SessionLimits, version: number): [string, string][] {
  return [
    ["statement_timeout", String(limits.statementTimeoutMs)],
    ["lock_timeout", String(limits.lockTimeoutMs)],
    ["idle_in_transaction_session_timeout", String(limits.pauseTimeoutMs)],
    ["client_encoding", "UTF8"],
    // Off, NULL in an array is a text of four letters.
    ["array_nulls", "on"],
    // On, the catalogue's names of types come in quotes, and every table seems to differ.
    ["quote_all_identifiers", "off"],
    // A role's own limits of these kinds would end sessions that hold a lock, and long transactions for ever anew.
    ...(version >= 140_000 ? [["idle_session_timeout", "0"] as [string, string]] : []),
    ...(version >= 170_000 ? [["transaction_timeout", "0"] as [string, string]] : []),
  ];
}

/**
 * Postgres looks into pg_catalog first, unless the path names it elsewhere. Then an operator, function or type of the same
 * name and arguments in a schema before it would take a built-in's place in our statements.
 */
async function checkPath(
  client: pg.ClientBase,
  path: readonly string[],
  address: string,
): Promise<void> {
  const before = path.slice(0, path.indexOf("pg_catalog")).filter((name) => !/^pg_temp/.test(name));
  if (before.length === 0) return;
  const { rows } = await client.query<Shadow>(SHADOWS, [before]);
  const [first] = rows;
  if (first === undefined) return;
  const others = path.filter((name) => !/^pg_(catalog$|temp)/.test(name));
  const detail = `search_path: ${first.schema}.${first.name} stands before the built-in of that name`;
  const mend = `ALTER ROLE ${first.role} SET search_path = pg_catalog, ${others.join(", ")}`;
  throw refusedForGood(`${detail}; put pg_catalog first: ${mend}`, address);
}

interface Shadow {
  readonly schema: string;
  readonly name: string;
  readonly role: string;
}

/** Every name in it is qualified, since it runs on the very path that it looks at. 11 is pg_catalog, on every server. */
const SHADOWS = `
SELECT n.nspname AS schema, s.name, current_user AS role FROM (
  SELECT o.oprnamespace AS space, o.oprname AS name FROM pg_catalog.pg_operator o, pg_catalog.pg_operator b
  WHERE b.oprnamespace = 11::pg_catalog.oid AND b.oprname = o.oprname
    AND b.oprleft = o.oprleft AND b.oprright = o.oprright
  UNION ALL
  SELECT p.pronamespace, p.proname FROM pg_catalog.pg_proc p, pg_catalog.pg_proc b
  WHERE b.pronamespace = 11::pg_catalog.oid AND b.proname = p.proname AND b.proargtypes = p.proargtypes
  UNION ALL
  SELECT t.typnamespace, t.typname FROM pg_catalog.pg_type t, pg_catalog.pg_type b
  WHERE b.typnamespace = 11::pg_catalog.oid AND b.typname = t.typname
) s, pg_catalog.pg_namespace n
WHERE n.oid = s.space AND n.nspname = ANY ($1::pg_catalog.name[]) LIMIT 1`.replaceAll(
  " = ",
  " OPERATOR(pg_catalog.=) ",
);
