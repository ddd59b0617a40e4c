// Why a task stands still and since when, with what the operator can do about it: for /ready, the log and the notes.
import type { ErrorCode } from "../../core/error-table.ts";
import type { MillraceError } from "../../core/errors.ts";
import { lookAgain } from "../../notes/stops.ts";

export interface Stop {
  readonly code: ErrorCode;
  readonly message: string;
  readonly sinceMs: number;
}

export const stopOf = ({ code, message }: MillraceError, pipeline: string, now: number): Stop => ({
  code,
  message: `${message}${lookAgain(code, pipeline)}`,
  sinceMs: now,
});
