// The facts that an error of the server carries beside its SQLSTATE: who raised it, in which function, and the names in
// it. The name of the C function that reports it is the same in every language of the server, other than its texts.
// Values stay out.
import type pg from "pg";

/** raise: the user's own RAISE · policy: row-level security or a view's check option · server: Postgres itself. */
type RaisedBy = "raise" | "policy" | "server";

export interface ServerFacts {
  readonly by: RaisedBy;
  /** The user's function in which it happened, such as `app.audit() line 3`; null: our own statement. */
  readonly within: string | null;
  /** A column that the server names. */
  readonly column?: string;
}

export function factsOf({ routine, where, column }: pg.DatabaseError): ServerFacts {
  const by =
    routine === "exec_stmt_raise"
      ? "raise"
      : routine === "ExecWithCheckOptions"
        ? "policy"
        : "server";
  const facts = { by, within: functionIn(where) } as const;
  return column === undefined ? facts : { ...facts, column };
}

const LINE = /^PL\/pgSQL function ([^\s()]+\([^()]*\)|inline_code_block)(?: (line \d+))?/;
const OTHER = /^(?:SQL function|PL\/\w+ (?:trigger )?function) "([^"\s]+)"/;

/**
 * The innermost function of the context. Its other lines are left out: they quote statements, which may contain a value.
 * A server that speaks another language than English has it named `a function`.
 */
function functionIn(where: string | undefined): string | null {
  if (where === undefined) return null;
  for (const line of where.split("\n")) {
    const [, name, at] = LINE.exec(line) ?? OTHER.exec(line) ?? [];
    if (name !== undefined) return at === undefined ? name : `${name} ${at}`;
  }
  return /PL\/|SQL-?(function|funktion)/i.test(where) ? "a function" : null;
}

const names: Readonly<Record<string, string>> = {
  "21000": "cardinality violation",
  "22001": "text too long",
  "22003": "number out of range",
  "22007": "invalid date or time",
  "22008": "date or time out of range",
  "22012": "division by zero",
  "22021": "character not in encoding",
  "22P02": "invalid text for the type",
  "22P05": "untranslatable character",
  "23502": "not null violation",
  "23503": "foreign key violation",
  "23505": "unique violation",
  "23514": "check violation",
  "23P01": "exclusion violation",
  "25006": "read-only: a standby, or default_transaction_read_only",
  "25P04": "transaction timeout",
  "28000": "invalid authorisation",
  "28P01": "wrong password",
  "3D000": "no such database",
  "40001": "serialisation failure",
  "40P01": "deadlock",
  "42501": "missing privilege",
  "42703": "no such column",
  "42883": "no such function",
  "428C9": "a generated column cannot be written",
  "42P01": "no such table",
  "42P10": "no unique index for ON CONFLICT",
  "44000": "check option of a view",
  "53100": "disk full",
  "53300": "too many connections",
  "54000": "limit exceeded",
  "54001": "too deep for the stack",
  "55P03": "lock timeout",
  "57014": "statement timeout",
  "57P01": "connection terminated by an administrator",
  "57P03": "starting up or shutting down",
  P0001: "refused by a trigger",
  P0002: "no row found",
  P0003: "more rows than one found",
  P0004: "an assertion does not hold",
  XX001: "corrupted data",
  XX002: "corrupted index",
};

/** The message for people: code, names, function. The names that a RAISE gives are the user's, and may be values. */
export function namesOf(error: pg.DatabaseError, { by, within }: ServerFacts): string {
  const state = error.code ?? "";
  const what =
    by === "policy" && state === "42501" ? "refused by a row-level policy" : names[state];
  const parts = [
    `${state} ${what ?? "refused"}`,
    isNaming(error) ? error.message : by === "raise" ? "" : namedParts(error),
    ...(within === null ? [] : [`${by === "raise" ? "raised by" : "in"} ${within}`]),
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/**
 * These name a table or column only in their message, which quotes identifiers, never values, when Postgres itself says
 * so of our own statement. In a function the identifier may have been made of a value.
 */
const NAMING =
  /^(errorMissingColumn|checkInsertTargets|parserOpenTable|RangeVarGetRelidExtended|aclcheck_error|rewriteTargetListIU)$/;

const isNaming = ({ routine, where }: pg.DatabaseError): boolean =>
  where === undefined && NAMING.test(routine ?? "");

function namedParts({ table, column, constraint, dataType }: pg.DatabaseError): string {
  const parts = Object.entries({ table, column, constraint, type: dataType });
  return parts.flatMap(([name, value]) => (value ? [`${name} ${value}`] : [])).join(", ");
}
