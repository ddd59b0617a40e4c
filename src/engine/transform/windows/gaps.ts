// The sessions of one key: sets of records that lie at most the gap apart, of [start, end] in ms, both ends inclusive. A record
// that lies between two sessions joins them. Pure.
import type { SessionWindow } from "../../core/window-span.ts";

export interface Session {
  readonly startMs: number;
  readonly endMs: number;
  /** The aggregate of its records. */
  readonly value: unknown;
}

/** The last ms at which a record of that time is on time: the grace is the largest age that is accepted. */
// mistake: late by the gap and the grace
export const lastOnTimeMs = ({ graceMs }: SessionWindow, timeMs: number): number =>
  timeMs + graceMs;

/** The last ms at which a session is open: what is on time later lies beyond its gap. */
// mistake: session closed in its last ms
export const lastOpenMs = ({ gapMs, graceMs }: SessionWindow, { endMs }: Session): number =>
  endMs + gapMs + graceMs;

/**
 * The sessions of a key, in the order of time, with one record more. `add` makes the aggregate of those that it joins, in that
 * order, and of the record.
 */
export function withRecord(
  { gapMs }: SessionWindow,
  sessions: readonly Session[],
  timeMs: number,
  add: (values: readonly unknown[]) => unknown,
): readonly Session[] {
  const isBefore = ({ endMs }: Session): boolean => endMs < timeMs - gapMs;
  const isBehind = ({ startMs }: Session): boolean => startMs > timeMs + gapMs;
  const joined = sessions.filter((one) => !isBefore(one) && !isBehind(one));
  const session = {
    startMs: Math.min(timeMs, joined[0]?.startMs ?? timeMs),
    endMs: Math.max(timeMs, joined.at(-1)?.endMs ?? timeMs),
    value: add(joined.map(({ value }) => value)),
  };
  return [...sessions.filter(isBefore), session, ...sessions.filter(isBehind)];
}
