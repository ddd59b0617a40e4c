// How long a worker waits before it asks again for what Kafka has refused: rights of the client, a request as such.
import type { MillraceError } from "../../../core/errors.ts";

export interface Pause {
  readonly why: string | null;
  readonly untilMs: number;
  readonly forMs: number;
}

export const NO_PAUSE: Pause = { why: null, untilMs: -Infinity, forMs: 0 };

const pauseMs = { first: 500, most: 10_000 } as const;

export function longer(last: Pause, error: MillraceError, nowMs: number): Pause {
  const forMs = Math.min(pauseMs.most, Math.max(pauseMs.first, last.forMs * 2));
  return { why: error.message, forMs, untilMs: nowMs + forMs };
}
