// Timers as the oracle has them: plain entries, looked through from first to last.
import { dueOf, putOffTo, timerPlace, turnOf } from "../timers.ts";
import type { Value } from "../values.ts";

export interface Entry {
  /** Null: deleted; its time stays. */
  readonly value: unknown;
  readonly timeMs: number;
  /** Of a timer. */
  readonly dueMs?: number;
}

type Store = ReadonlyMap<string, Entry>;

/** The entries that a record changes; null deletes. */
export function timersSet(
  store: Store,
  of: { readonly key: string; readonly value: Value; readonly now: number; readonly by: number },
): [string, Entry | null][] {
  const { key, value, now, by } = of;
  const dueMs = dueOf(now, value, by);
  const own: [string, Entry][] = [
    [timerPlace(key, value.i), { value, timeMs: now, dueMs }],
    [key, { value: { i: value.i, dueMs }, timeMs: now }],
  ];
  const last = store.get(key)?.value as { i: string; dueMs: number } | undefined;
  const turn = last === undefined || last.dueMs < now ? "stays" : turnOf(value);
  if (last === undefined || turn === "stays") return own;
  const place = timerPlace(key, last.i);
  const entry = store.get(place) as Entry;
  const after = turn === "cancelled" ? null : { ...entry, dueMs: putOffTo(now, value) };
  return [[place, after], ...own];
}

/** The timers of a task that stream time has passed, in the order of due and key; keys of a task end with its partition. */
export function timersFired(
  store: Store,
  partition: number,
  streamTimeMs: number,
): [string, Entry][] {
  const isOwn = (name: string): boolean =>
    name.split("\0")[0]?.endsWith(`-${String(partition)}`) === true;
  return [...store]
    .filter(([name, { dueMs = Infinity }]) => isOwn(name) && dueMs < streamTimeMs)
    .sort(([k, a], [l, b]) => (a.dueMs ?? 0) - (b.dueMs ?? 0) || (k < l ? -1 : 1));
}
