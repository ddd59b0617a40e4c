// The reaction to an error. Other code only names a `disposition`; here alone is it acted on.
import type { ErrorCode } from "../core/error-table.ts";
import { detailOf, InvariantError, MillraceError, messageOf } from "../core/errors.ts";
import type { Clock, Log, Meter, Random } from "../core/ports.ts";

/** The ports that retrying needs. */
export interface RetryPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly meter: Meter;
}

/** The dependency that is waited for, and who is notified of it. */
export interface Wait {
  readonly dependency: string;
  readonly signal: AbortSignal;
  /** Called with what the wait is for ("redis is full") and its error, and null when it is over; for /ready. */
  readonly onWaiting?: (why: string | null, error?: MillraceError) => void;
}

const FIRST_MS = 100;
const MOST_MS = 5_000;

/**
 * Repeats `work` for as long as it fails with disposition "retry": capped exponential backoff with full jitter
 * (Brooker, "Exponential Backoff And Jitter"). Any other error is thrown; an aborted signal ends it with its reason.
 */
export async function persist<T>(
  ports: RetryPorts,
  what: Wait,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    what.signal.throwIfAborted();
    try {
      const result = await work();
      if (attempt > 0) what.onWaiting?.(null);
      return result;
    } catch (error) {
      if (actionOf(error) !== "retry") throw error;
      // A stop closes the clients, which is no outage.
      what.signal.throwIfAborted();
      what.onWaiting?.(whyOf(ours(error)) ?? `${what.dependency} is away`, ours(error));
      ports.meter.count("millrace_retries_total", { dependency: what.dependency });
      // Said once at first, then each time the wait has doubled to its cap: an outage is no log storm.
      const { code, message } = ours(error);
      const facts = { dependency: what.dependency, attempt, code, error: message };
      if (attempt === 0 || attempt % 10 === 0) ports.log.warn(facts, "waiting for a dependency");
      const cap = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
      await ports.clock.sleep(cap * (0.5 + ports.random.next() / 2), what.signal);
    }
  }
}

/** The work's result, or the signal's reason as soon as it aborts; the work itself goes on. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

export const KAFKA_IS_AWAY = "kafka is away";

/** The error knows better than the work what is missing: one that reads state may wait for Kafka. */
const whys: Partial<Record<ErrorCode, string>> = {
  MILL_KAFKA_UNAVAILABLE: KAFKA_IS_AWAY,
  MILL_KAFKA_UNKNOWN_OUTCOME: KAFKA_IS_AWAY,
  MILL_POSTGRES_UNAVAILABLE: "postgres is away",
  MILL_REDIS_MEMORY: "redis is full",
  MILL_REDIS_UNAVAILABLE: "redis is away",
  MILL_REGISTRY_UNAVAILABLE: "registry is away",
};

/** Codes whose own text says what is waited for: refusals by Kafka that may end later, and workers of an earlier version. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  "MILL_KAFKA_AUTH",
  "MILL_KAFKA_REFUSED",
  "MILL_SOURCE_VERSIONS",
  "MILL_TOPIC_MISSING",
]);

/** A topic that is gone is asked for until it is there, which shows what became of it. */
export async function awaitingTopics<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "MILL_TOPIC_MISSING") throw error;
    const { where } = error;
    const options = { where, cause: error, disposition: "pause" } as const;
    throw new MillraceError("MILL_TOPIC_MISSING", detailOf(error), options);
  }
}

/** The reason why a task waits, in words; null where only the work knows. */
export const whyOf = ({ code, message }: MillraceError): string | null =>
  refusals.has(code) ? message : (whys[code] ?? null);

/** The reaction to an error that reached a task. */
export type FailureAction = "retry" | "retake" | "stop";

/** Exhaustive over dispositions. An error that is not ours is a defect: the task stops. */
export function actionOf(error: unknown): FailureAction {
  if (!(error instanceof MillraceError)) return "stop";
  switch (error.disposition) {
    case "retry":
    case "pause":
      return "retry";
    case "fence":
      return "retake";
    case "halt":
    case "dead-letter":
      return "stop";
  }
}

/** Any error as one of ours, for states and logs. */
export const ours = (error: unknown): MillraceError =>
  error instanceof MillraceError
    ? error
    : new InvariantError("MILL_ENGINE_INVARIANT", messageOf(error), { cause: error });

/** An error that is none of Kafka's: to go on would do the same wrong again. */
export const isDefect = (error: unknown): boolean =>
  !(error instanceof MillraceError) ||
  error instanceof InvariantError ||
  error.code === "MILL_KAFKA_CLIENT";
