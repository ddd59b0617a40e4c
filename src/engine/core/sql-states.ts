// Which SQLSTATE means what, for a row that Postgres refuses: the one table that the engine goes by and that docs/errors.md
// prints. A whole SQLSTATE goes before its class. Pure.

/**
 * letter: the row is at fault, whatever else passes · wait: try again later · stop: the account, the server or we are at
 * fault · compare: the code alone does not decide. If other rows of the same commit pass, the row is at fault; if none
 * does, the table is.
 */
export type SqlEnd = "letter" | "wait" | "compare" | "stop";

export interface SqlStates {
  /** Whole SQLSTATEs, and classes: their first two characters. */
  readonly states: readonly string[];
  readonly end: SqlEnd;
  readonly meaning: string;
}

const rule = (end: SqlEnd, states: string, meaning: string): SqlStates => ({
  states: states.split(" "),
  end,
  meaning,
});

export const sqlStates: readonly SqlStates[] = [
  rule("letter", "22", "a value that its column, a cast or an expression does not take"),
  rule("letter", "23", "not null, unique, foreign key, check, exclusion, no partition for the row"),
  rule("letter", "44", "the check option of a view"),
  rule("letter", "54000", "a limit: an index entry or a row that is too large"),
  rule("letter", "P0001 P0002 P0003 P0004", "RAISE, no row, too many rows, ASSERT in PL/pgSQL"),
  rule(
    "letter",
    "09 20 21 38000",
    "a trigger's action, CASE without ELSE, one key twice, PL/Python",
  ),
  rule("wait", "08 53 57 58", "connection, resources, shutdown or statement timeout, the system"),
  rule("wait", "40 55P03 55006", "deadlock, serialisation failure, a lock that others hold"),
  rule(
    "wait",
    "25006 25P03 25P04",
    "read-only (as after a failover), session or transaction timeout",
  ),
  rule("wait", "72 HV001 HV00L HV00N HV014", "snapshot too old, a foreign server that is away"),
  rule("stop", "28 3D 25P02", "the login, the database, a transaction that has failed already"),
  rule("stop", "F0 XX001 XX002", "the server's configuration file, corrupted data or index"),
  rule("compare", "42", "a name, type or right that is missing, generated columns"),
  rule("compare", "0A 3F 55", "not supported (rules), no such schema, a state that does not fit"),
  rule("compare", "54", "other limits: the stack's depth, columns, arguments"),
  rule("compare", "25 27 2B 2D 2F 38 39 P0", "what a function does that it may not"),
  rule(
    "compare",
    "0B 0F 0L 0P 0Z 24 26 34 3B",
    "transactions, locators, grants, cursors, savepoints",
  ),
  rule(
    "compare",
    "00 01 02 03 HV XX000",
    "warnings, other errors of foreign servers, internal errors",
  ),
];

const ends: ReadonlyMap<string, SqlEnd> = new Map(
  sqlStates.flatMap(({ states, end }) => states.map((state) => [state, end] as const)),
);

/** A code of no class of Postgres is somebody's own word about the row, such as 45000. */
export const endOf = (sqlState: string): SqlEnd =>
  ends.get(sqlState) ?? ends.get(sqlState.slice(0, 2)) ?? "letter";
