// What is done about an error. Rooms say (`disposition`); only here is it acted on.
import { InvariantError, MillraceError, messageOf } from "../core/errors.ts";
import type { Clock, Log, Meter, Random } from "../core/ports.ts";

/** What retrying needs. */
export interface RetryPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly meter: Meter;
}

/** What is waited for, and who is told of it. */
export interface Wait {
  readonly dependency: string;
  readonly signal: AbortSignal;
  /** The dependency when it turns out to be away, null when the wait is over; for /ready. */
  readonly onWaiting?: (dependency: string | null) => void;
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
      what.onWaiting?.(what.dependency);
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

/** What to do with an error that reached a task. */
export type Action = "retry" | "retake" | "stop";

/** Exhaustive over dispositions. What is no error of ours is a defect: the task stops. */
export function actionOf(error: unknown): Action {
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
