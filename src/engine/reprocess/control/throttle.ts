// The rate at which a run may read, so that it yields to the live pipeline: cut by half while live lag is above half of its
// limit, nothing at the limit, more again step by step when it is low (AIMD, as TCP has it). Pure.

export interface RateFacts {
  /** Null: nobody is live, nobody to yield to. */
  readonly lagMs: number | null;
  readonly lagLimitMs: number;
  /** Records a second that are decided now. */
  readonly measured: number;
  /** The rate in force; null: no limit. */
  readonly current: number | null;
  /** The rate that was asked for; null: none. */
  readonly max: number | null;
}

/** Below it a run is paused rather than slowed. */
const RATE_MIN = 50;
const RAISE = { by: 1.25, and: 100 } as const;
/** A limit so far above what is done has no effect. */
const IDLE_LIMIT = { times: 4, and: 10_000 } as const;

/** The rate for the next second. */
export function nextRate({ lagMs, lagLimitMs, measured, current, max }: RateFacts): number | null {
  if (lagMs === null) return max;
  if (lagMs >= lagLimitMs) return 0;
  if (lagMs > lagLimitMs / 2) return lowered(current, measured);
  if (lagMs > lagLimitMs / 4) return current;
  return raised(current, measured, max);
}

function lowered(current: number | null, measured: number): number {
  if (current === 0) return 0;
  return Math.max(RATE_MIN, Math.floor(Math.min(current ?? Infinity, measured) / 2));
}

function raised(current: number | null, measured: number, max: number | null): number | null {
  if (current === null) return max;
  const more = Math.floor(current * RAISE.by + RAISE.and);
  if (max !== null) return Math.min(max, more);
  return more > measured * IDLE_LIMIT.times + IDLE_LIMIT.and ? null : more;
}
