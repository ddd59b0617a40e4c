// What an error of the driver means: the only place that looks at SQLSTATEs and driver messages. Postgres quotes values in
// its message and detail, so neither leaves this file: ours are made of codes and names of columns and constraints.
import pg from "pg";
import { DependencyError, MillraceError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/error-table.ts";

/**
 * transient: try again later · row: this row can never be stored as it is · stop: the table, the account or the statement
 * is wrong, whatever the row.
 */
type PostgresFault = "transient" | "row" | "stop";

interface FaultFacts {
  readonly fault: PostgresFault;
  /** Five characters, or null when Postgres did not answer. */
  readonly sqlState: string | null;
  /** Codes and names, never values. */
  readonly detail: string;
}

export class PostgresError extends DependencyError {
  readonly facts: FaultFacts;

  constructor(code: ErrorCode, facts: FaultFacts, address: string) {
    super(code, `${facts.detail}, at ${address}`);
    this.facts = facts;
  }
}

/** COMMIT was sent and its reply did not come: only the progress row knows. */
export class CommitUnknownError extends PostgresError {}

/** First match wins: a whole SQLSTATE stands before its class. */
const states: readonly (readonly [RegExp, PostgresFault, ErrorCode])[] = [
  [/^(08|53)/, "transient", "MILL_POSTGRES_UNAVAILABLE"],
  [/^(57014|57P0.|55P03|55006|25006|25P03|25P04)$/, "transient", "MILL_POSTGRES_UNAVAILABLE"],
  [/^(40|58)/, "transient", "MILL_POSTGRES_UNAVAILABLE"],
  // 54000: an index entry or a row that is too large; P0001: a trigger of the user refuses.
  [/^(22...|23...|21000|54000|P0001)$/, "row", "MILL_SINK_REFUSED"],
  [/^(42703|42P01|42P10|42804|42704|42846|428C9|3F000)$/, "stop", "MILL_TABLE_DIFFERS"],
];

const names: Readonly<Record<string, string>> = {
  "21000": "cardinality violation",
  "22001": "text too long",
  "22003": "number out of range",
  "22007": "invalid date or time",
  "22008": "date or time out of range",
  "22021": "character not in encoding",
  "22P02": "invalid text for the type",
  "22P05": "untranslatable character",
  "23502": "not null violation",
  "23503": "foreign key violation",
  "23505": "unique violation",
  "23514": "check violation",
  "25006": "read-only",
  "28000": "invalid authorisation",
  "28P01": "wrong password",
  "3D000": "no such database",
  "40001": "serialisation failure",
  "40P01": "deadlock",
  "42501": "missing privilege",
  "42703": "no such column",
  "42P01": "no such table",
  "53100": "disk full",
  "53300": "too many connections",
  "54000": "limit exceeded",
  "55P03": "lock timeout",
  "57014": "statement timeout",
  "57P01": "connection terminated by an administrator",
  "57P03": "starting up or shutting down",
  P0001: "refused by a trigger",
};

/** Translates what the driver threw; what is not the driver's (a bug, an error of ours) comes back as it is. */
export function translate(error: unknown, address: string): unknown {
  if (error instanceof MillraceError || !(error instanceof Error)) return error;
  if (error instanceof pg.DatabaseError) return fromServer(error, address);
  return fromNetwork(error, address) ?? error;
}

function fromServer(error: pg.DatabaseError, address: string): PostgresError {
  const state = error.code ?? "";
  const [, fault, code] = states.find(([shape]) => shape.test(state)) ?? [
    null,
    "stop" as const,
    "MILL_POSTGRES_REFUSED" as const,
  ];
  // 42703 and 42P01 name the column or table only in their message, which quotes identifiers, never values.
  const named = /^42(703|P01|501)$/.test(state) ? error.message : namedParts(error);
  const parts = [`${state} ${names[state] ?? "refused"}`, named].filter((part) => part !== "");
  return new PostgresError(code, { fault, sqlState: state, detail: parts.join(", ") }, address);
}

function namedParts({ table, column, constraint, dataType }: pg.DatabaseError): string {
  const parts = Object.entries({ table, column, constraint, type: dataType });
  return parts.flatMap(([name, value]) => (value ? [`${name} ${value}`] : [])).join(", ");
}

const NETWORK = /^(E[A-Z]+|ERR_SOCKET.*|ERR_STREAM.*)$/;
const DRIVER_LOST =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|Client was closed|Connection lost|socket (hang up|disconnected)/;
const DRIVER_STOP =
  /does not support SSL|SASL|SCRAM|password|certificate|error performing SSL|Unknown authentication/i;

function fromNetwork(error: Error, address: string): PostgresError | null {
  const code = (error as { code?: unknown }).code;
  const name = typeof code === "string" ? code : null;
  if (name !== null && NETWORK.test(name)) return unavailable(name, address);
  if (DRIVER_LOST.test(error.message)) return unavailable("no answer", address);
  const isTls = name !== null && /CERT|SSL|TLS|UNABLE_TO/.test(name);
  if (!isTls && !DRIVER_STOP.test(error.message)) return null;
  const detail = isTls ? name : "the connection's security could not be agreed";
  return new PostgresError(
    "MILL_POSTGRES_REFUSED",
    { fault: "stop", sqlState: null, detail },
    address,
  );
}

/** Postgres cannot be used now, for a reason without an SQLSTATE. */
export const unavailable = (detail: string, address: string): PostgresError =>
  new PostgresError(
    "MILL_POSTGRES_UNAVAILABLE",
    { fault: "transient", sqlState: null, detail },
    address,
  );
