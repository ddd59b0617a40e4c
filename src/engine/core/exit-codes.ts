// The exit codes of every process, as documented in docs/operations.md, and the one that an error ends with.
import type { ErrorCode } from "./error-table.ts";
import { ConfigErrors, MillraceError } from "./errors.ts";

export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  auth: 4,
  conflict: 5,
  unavailable: 69,
  config: 78,
  interrupted: 130,
} as const;

/** Credentials or rights that a server refuses. */
export const isAuth = (code: ErrorCode): boolean => /^MILL_[A-Z]+_AUTH$/.test(code);

// Fenced: somebody came between.
const CONFLICTS =
  /^MILL_(OFFSETS_(ACTIVE|STATE)|RUN_(ACTIVE|STATE)|KAFKA_FENCED|GATE_HELD|GROUP_RELEASE|SWAP_REFUSED|IMPORT_BEGUN)$/;
const USAGE = /^MILL_(USAGE|TOPIC_LOSES|OFFSETS_OUTSIDE|REDRIVE_REFUSED|RUN_RANGE)$/;
const CONFIG = /^MILL_(CONFIG|BUILD|TOPIC|TABLE|SCHEMA|STACK)_/;

/** Several problems are one of configuration, 78, unless all of them are rights that are missing. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigErrors)
    return error.problems.every(({ code }) => isAuth(code)) ? exitCodes.auth : exitCodes.config;
  if (!(error instanceof MillraceError)) return exitCodes.failure;
  const { code, disposition } = error;
  if (USAGE.test(code)) return exitCodes.usage;
  if (code === "MILL_NOT_FOUND") return exitCodes.notFound;
  if (isAuth(code)) return exitCodes.auth;
  if (CONFLICTS.test(code)) return exitCodes.conflict;
  if (disposition === "retry") return exitCodes.unavailable;
  return CONFIG.test(code) ? exitCodes.config : exitCodes.failure;
}
