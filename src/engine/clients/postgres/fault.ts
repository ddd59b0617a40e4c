// Translates errors of the driver; no other file looks at SQLSTATEs and driver messages. Postgres quotes values in its
// message and detail, so neither leaves this file: ours are made of codes and names of columns, constraints, functions.
import pg from "pg";
import { DependencyError, MillraceError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/error-table.ts";
import { endOf } from "../../core/sql-states.ts";
import { factsOf, namesOf, type ServerFacts } from "./server-error.ts";

/**
 * transient: try again later · row: this row can never be stored as it is · stop: the table, the account or the statement
 * is wrong, whatever the row.
 */
type PostgresFault = "transient" | "row" | "stop";

/**
 * Set where more must be known. others: `stop`, unless other rows pass the same statement; then it is the row.
 * patience: `transient`, but a trigger of the user says so by RAISE; a row that it refuses again and again is at fault.
 */
type Doubt = "others" | "patience";

export interface FaultFacts {
  readonly fault: PostgresFault;
  /** Five characters, or null when Postgres did not answer. */
  readonly sqlState: string | null;
  /** Codes and names, never values. */
  readonly detail: string;
  readonly doubt?: Doubt;
  /** More than the SQLSTATE, where Postgres answered. */
  readonly server?: ServerFacts;
}

export class PostgresError extends DependencyError {
  readonly facts: FaultFacts;
  readonly #address: string;

  constructor(code: ErrorCode, facts: FaultFacts, address: string) {
    super(code, `${facts.detail}, at ${address}`);
    this.facts = facts;
    this.#address = address;
  }

  /** The same, once it is known that no row is at fault. `mend` says what leads on. */
  asStop(mend = "", code: ErrorCode = stopCodeOf(this)): PostgresError {
    const detail = mend === "" ? this.facts.detail : `${this.facts.detail}; ${mend}`;
    return new PostgresError(code, { ...this.facts, fault: "stop", detail }, this.#address);
  }
}

/** COMMIT was sent and its reply did not come: only the progress row knows. */
export class CommitUnknownError extends PostgresError {}

/**
 * Translates what the driver threw; what is not the driver's (a bug, an error of ours) comes back as it is. `statement` is
 * our own, for the rights that it needs.
 */
export function translate(error: unknown, address: string, statement = ""): unknown {
  if (error instanceof MillraceError || !(error instanceof Error)) return error;
  if (error instanceof pg.DatabaseError) return fromServer(error, address, statement);
  return fromNetwork(error, address) ?? error;
}

function fromServer(error: pg.DatabaseError, address: string, statement: string): PostgresError {
  const sqlState = error.code ?? "";
  const server = factsOf(error);
  const judged = judge(sqlState, server);
  const code = codeOf(sqlState, judged.fault, server);
  const needs = isMissingRight(sqlState, server) ? rightsOf(statement) : "";
  const detail = `${namesOf(error, server)}${needs}`;
  return new PostgresError(code, { ...judged, sqlState, detail, server }, address);
}

/** The user's own word, by RAISE or by a policy, is about the row, whatever code it bears. */
function judge(sqlState: string, { by }: ServerFacts): Pick<FaultFacts, "fault" | "doubt"> {
  const end = endOf(sqlState);
  if (by === "raise" && end === "wait") return { fault: "transient", doubt: "patience" };
  if (by !== "server" || end === "letter") return { fault: "row" };
  if (end === "wait") return { fault: "transient" };
  return end === "compare" ? { fault: "stop", doubt: "others" } : { fault: "stop" };
}

/** The privilege of the account itself: a policy and a function of the user have other words. */
const isMissingRight = (sqlState: string, { by, within }: ServerFacts): boolean =>
  sqlState === "42501" && by === "server" && within === null;

/** Postgres names the object, and never the right: every verb of the statement is one. */
function rightsOf(statement: string): string {
  const verbs = statement.match(/\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|LOCK|GRANT)\b/g);
  const needs = verbs === null ? "" : `; the statement needs ${[...new Set(verbs)].join(", ")}`;
  return `${needs}; for the grants: npx millrace acls`;
}

const DIFFERS = /^(42703|42P01|42P10|42804|42704|42846|428C9|3F000)$/;

function codeOf(sqlState: string, fault: PostgresFault, server: ServerFacts): ErrorCode {
  if (fault === "transient") return "MILL_POSTGRES_UNAVAILABLE";
  if (fault === "row") return "MILL_SINK_REFUSED";
  if (server.within !== null) return "MILL_TABLE_TRIGGER";
  // Class 28: the password, or the access list of the server.
  if (sqlState.startsWith("28") || isMissingRight(sqlState, server)) return "MILL_POSTGRES_AUTH";
  return DIFFERS.test(sqlState) ? "MILL_TABLE_DIFFERS" : "MILL_POSTGRES_REFUSED";
}

function stopCodeOf({ facts }: PostgresError): ErrorCode {
  const none = { by: "server", within: null } as const;
  return codeOf(facts.sqlState ?? "", "stop", facts.server ?? none);
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
  if (isTls) return refusedForGood(name, address);
  if (/password must be a (non-empty )?string/.test(error.message))
    return refusedForGood("it asks for a password, and none is set", address, "MILL_POSTGRES_AUTH");
  return refusedForGood("the connection's security could not be agreed", address);
}

/** Postgres cannot be used now, for a reason without an SQLSTATE. */
export const unavailable = (detail: string, address: string): PostgresError =>
  new PostgresError(
    "MILL_POSTGRES_UNAVAILABLE",
    { fault: "transient", sqlState: null, detail },
    address,
  );

/** Postgres cannot be used as it is, for a reason without an SQLSTATE. */
export const refusedForGood = (
  detail: string,
  address: string,
  code: ErrorCode = "MILL_POSTGRES_REFUSED",
): PostgresError => new PostgresError(code, { fault: "stop", sqlState: null, detail }, address);
