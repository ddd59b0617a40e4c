// Translates errors of ioredis: the only place that looks at its names and messages. Its errors carry the arguments of
// the command, keys and values among them, so none is kept as a cause: ours are made of code words and addresses.
import type { ErrorCode } from "../../core/error-table.ts";
import { DependencyError, MillraceError } from "../../core/errors.ts";

/** First match wins. In 6.2 the word of an error inside a script is in the middle of the message. */
const replies: readonly (readonly [RegExp, ErrorCode])[] = [
  [/(?:^|[\s-])(OOM)\s/, "MILL_REDIS_MEMORY"],
  [/(?:^|[\s-])(NOAUTH|WRONGPASS|NOPERM|DENIED)\s/, "MILL_REDIS_AUTH"],
  [/^ERR (invalid password)/, "MILL_REDIS_AUTH"],
  // Inside a script, 6.2 and 7.
  [/The user executing the script (can't \w+)/, "MILL_REDIS_AUTH"],
  [/^ERR (ACL failure) in script/, "MILL_REDIS_AUTH"],
  [/(?:^|[\s-])(WRONGTYPE)\s/, "MILL_STATE_TYPE"],
  [/(?:^|[\s-])(READONLY|LOADING|BUSY|MASTERDOWN)\s/, "MILL_REDIS_UNAVAILABLE"],
  [/(?:^|[\s-])(CLUSTERDOWN|MISCONF|NOREPLICAS|UNKILLABLE)\s/, "MILL_REDIS_UNAVAILABLE"],
  [/^ERR (max number of clients) reached/, "MILL_REDIS_UNAVAILABLE"],
  [/(?:^|[\s-])(MOVED|ASK|CROSSSLOT)\s/, "MILL_REDIS_CLUSTER"],
];

/** Translates what the driver threw; `where` is a key and an address. A bug comes back as it is. */
export function translate(error: unknown, where: string): unknown {
  if (error instanceof MillraceError || !(error instanceof Error)) return error;
  if (error.name === "ReplyError") return fromServer(error.message, where);
  return fromConnection(error, where) ?? error;
}

function fromServer(message: string, where: string): DependencyError {
  for (const [shape, code] of replies) {
    const word = shape.exec(message)?.[1];
    if (word === undefined) continue;
    const needs = code === "MILL_REDIS_AUTH" ? rightOf(message) : "";
    return new DependencyError(code, `${word}, ${where}${needs}`);
  }
  const word = /^[A-Z]+/.exec(message)?.[0] ?? "no code";
  return new DependencyError("MILL_REDIS_REFUSED", `${word}, ${where}`);
}

/** The command or key that an access list refuses, in the words of 6.2 and of 7; inside a script 6.2 names no command. */
function rightOf(message: string): string {
  if (!/permission|ACL failure|executing the script/.test(message)) return "";
  const command = /'([a-z|]+)' command/.exec(message)?.[1];
  const lacking =
    command !== undefined
      ? `the command ${command}`
      : /\bkeys?\b/.test(message)
        ? "that key"
        : "a command of its scripts";
  return ` (the user needs ${lacking}; for the grants: npx millrace acls)`;
}

const NETWORK = /^E[A-Z_]+$/;
const TLS = /CERT|SSL|TLS|UNABLE_TO|SIGNED/;
const LOST =
  /^(Command timed out|Connection is closed\.|Stream isn't writeable|Reached the max retries|Command aborted|Socket timeout|Protocol error|Ready check failed)/;

function fromConnection(error: Error, where: string): DependencyError | null {
  const code = (error as { code?: unknown }).code;
  const name = typeof code === "string" ? code : "";
  if (TLS.test(name)) return new DependencyError("MILL_REDIS_REFUSED", `${name}, ${where}`);
  if (NETWORK.test(name)) return unavailable(name, where);
  if (isTimeout(error)) return unavailable("no answer in time", where);
  return LOST.test(error.message) ? unavailable("the connection was lost", where) : null;
}

export const isTimeout = (error: unknown): boolean =>
  error instanceof Error && error.message === "Command timed out";

/** Nothing was sent: there is no connection, or it is about to end. */
export const isUnwritable = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith("Stream isn't writeable");

/** The server has become a replica: the name may lead to the new primary by now. */
export const isDemoted = (error: unknown): boolean =>
  error instanceof Error &&
  error.name === "ReplyError" &&
  /(?:^|[\s-])READONLY\s/.test(error.message);

export const unavailable = (detail: string, where: string): DependencyError =>
  new DependencyError("MILL_REDIS_UNAVAILABLE", `${detail}, ${where}`);
