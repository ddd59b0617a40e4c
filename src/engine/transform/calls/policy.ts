// After a call that failed: when the next one is due, or why there is none.
import type { ErrorCode } from "../../core/error-table.ts";
import { MillraceError } from "../../core/errors.ts";
import type { RetryPolicy } from "../../core/plan.ts";
import type { Callee, Called, CallPorts } from "./call.ts";

/** Calls that one record has had. */
export interface Tried {
  readonly times: number;
  /** When the first of them had failed, epoch ms. */
  readonly firstMs: number;
}

/** Calls of a record are given up. */
export class CallError extends MillraceError {
  readonly tried: Tried;

  constructor(code: ErrorCode, detail: string, why: { cause?: unknown; tried: Tried }) {
    super(code, detail, { cause: why.cause });
    this.tried = why.tried;
  }
}

export type NextCall = { readonly dueMs: number } | CallError;
type Failed = Exclude<Called, { end: "answered" }>;

/** `tried` counts the call that failed. */
export function afterFailure(
  step: Callee,
  failed: Failed,
  tried: Tried,
  { clock, random }: Pick<CallPorts, "clock" | "random">,
): NextCall {
  const { retry } = step.operation;
  if (retry === null || isHopeless(retry, failed, tried)) return givenUp(step, failed, tried);
  // Capped, with jitter, as for dependencies (Brooker, "Exponential Backoff And Jitter").
  const cap = Math.min(retry.maxMs, retry.firstMs * 2 ** Math.min(tried.times - 1, 50));
  const dueMs = clock.now() + Math.ceil(cap * (0.5 + random.next() / 2));
  const isLate = retry.withinMs !== null && dueMs > tried.firstMs + retry.withinMs;
  return isLate ? givenUp(step, failed, tried) : { dueMs };
}

const isHopeless = (
  { attempts, fatal }: RetryPolicy,
  { error }: Failed,
  { times }: Tried,
): boolean => times >= attempts || fatal.some((type) => error instanceof type);

/** The message has only the name of the user's error: its text may quote the value. */
function givenUp(step: Callee, { end, error }: Failed, tried: Tried): CallError {
  const name = error instanceof Error ? error.name : typeof error;
  const { retry } = step.operation;
  const of = retry === null ? "" : ` of ${String(retry.attempts)}`;
  const code = end === "timeout" ? "MILL_CALL_TIMEOUT" : "MILL_CALL_FAILED";
  const detail = `${name} in map-async "${step.name}", call ${String(tried.times)}${of}`;
  return new CallError(code, detail, { cause: error, tried });
}
