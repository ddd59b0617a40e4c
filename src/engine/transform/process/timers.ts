// The timers of one key, as their store keeps them: one entry, due by the first of them. Every timer has its name, of which
// there is one at a time.
import type { StateEntry, StateKey, StoreView } from "../../core/state.ts";

/** event-time: the watermark in front of the step · wall-clock: the clock of the worker. */
export type TimerClock = "event-time" | "wall-clock";

/** Its due, and the origin time of what has set it: epoch ms. */
export type StoredTimer = readonly [name: string, dueMs: number, originMs: number];

const NONE: readonly StoredTimer[] = [];

/** In the order of due and name. */
export const timersOf = (view: StoreView, key: StateKey): readonly StoredTimer[] =>
  (view.get(key)?.value as readonly StoredTimer[] | null | undefined) ?? NONE;

/** The timers without one name, or with this one in its place. */
export function changedTimers(
  timers: readonly StoredTimer[],
  name: string,
  timer: StoredTimer | null,
): readonly StoredTimer[] {
  // mistake: cancelled timer fires
  const others = timers.filter(([other]) => other !== name);
  if (timer === null) return others;
  // mistake: one timer a key
  return [...others, timer].sort(([a, aMs], [b, bMs]) => aMs - bMs || (a < b ? -1 : 1));
}

/** Null where there are none. A timer is not due yet in the last ms before its due. */
export function timersEntry(timers: readonly StoredTimer[], timestamp: number): StateEntry | null {
  const [first] = timers;
  // mistake: timer before its due
  return first === undefined ? null : { value: timers, timestamp, dueMs: first[1] - 1 };
}

/** The fault of what a store has for the timers of a key, or null. */
export function wrongTimers(value: unknown): string | null {
  if (!Array.isArray(value) || value.length === 0) return "it is no list of timers";
  for (const one of value as readonly unknown[]) {
    const [name, dueMs, originMs] = Array.isArray(one) ? (one as unknown[]) : [];
    if (typeof name !== "string") return "a timer lacks its name";
    if (!Number.isSafeInteger(dueMs) || !Number.isSafeInteger(originMs))
      return "a timer lacks a time";
  }
  return null;
}
