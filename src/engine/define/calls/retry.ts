// Retry policies as they are declared, for a step or a whole pipeline.
import type { ErrorClass, RetryPolicy } from "../../core/plan.ts";
import type { Duration } from "../../core/span.ts";

/** The treatment of a call that failed. Options that decide correctness have no default. */
export interface RetryOptions {
  /** "block": the task waits, so order is kept among all keys · "park-key": the key waits with its later records, others go on. */
  readonly mode: "block" | "park-key";
  /** Calls in all, the first included. */
  readonly attempts: number;
  /** The wait doubles from `first` to `max`, with jitter. */
  readonly backoff: { readonly first: Duration; readonly max: Duration };
  /** No call is planned for later than this after the first failure. */
  readonly within?: Duration;
  /** Classes of errors that no other call can mend. */
  readonly fatal?: readonly ErrorClass[];
  /** The limit for the queue of a key; beyond it the task waits for that key. Default: 1,000 records, 256 KiB. */
  readonly runMax?: { readonly records?: number; readonly bytes?: number };
}

const QUEUE_RECORDS_MAX = 1_000;
const QUEUE_BYTES_MAX = 262_144;

export const policyOf = (options: RetryOptions): RetryPolicy => ({
  mode: options.mode,
  attempts: options.attempts,
  firstMs: options.backoff.first.ms,
  maxMs: options.backoff.max.ms,
  withinMs: options.within?.ms ?? null,
  fatal: options.fatal ?? [],
  runMax: {
    records: options.runMax?.records ?? QUEUE_RECORDS_MAX,
    bytes: options.runMax?.bytes ?? QUEUE_BYTES_MAX,
  },
});
