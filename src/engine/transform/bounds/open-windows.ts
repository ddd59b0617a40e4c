// The open windows of each key, in a store of their own: kept where windows that each have an entry are bounded by key.
import type { StateKey, StoreView } from "../../core/state.ts";
import { stateKey, type Want } from "../operator.ts";

/** The open windows of a key. */
export interface OpenWindows {
  /** Their starts, the first one first. */
  readonly starts: readonly number[];
  /** The largest end of a window that was let go ahead of its time; null where none was. */
  readonly evictedMs: number | null;
}

const NONE: OpenWindows = { starts: [], evictedMs: null };

export class OpenWindowStore {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  want(key: Buffer, want: Want): void {
    want(this.name, stateKey(key));
  }

  of(view: StoreView, key: Buffer): OpenWindows {
    return (view.get(stateKey(key))?.value ?? NONE) as OpenWindows;
  }

  /** Changes nothing where the window is among them. */
  opened(view: StoreView, key: Buffer, startMs: number): void {
    const { starts, evictedMs } = this.of(view, key);
    if (starts.includes(startMs)) return;
    const all = [...starts, startMs].sort((a, b) => a - b);
    put(view, stateKey(key), { starts: all, evictedMs });
  }

  closed(view: StoreView, key: Buffer, startMs: number): void {
    const open = this.of(view, key);
    if (!open.starts.includes(startMs)) return;
    // mistake: closed window counts as open
    put(view, stateKey(key), { ...open, starts: open.starts.filter((one) => one !== startMs) });
  }

  /** The first window of the key goes ahead of its time, which ends then. */
  evicted(view: StoreView, key: Buffer, endMs: number): void {
    const [, ...starts] = this.of(view, key).starts;
    const value: OpenWindows = { starts, evictedMs: endMs };
    view.set(stateKey(key), { value, timestamp: endMs, dueMs: null });
  }

  /** The largest end of a window that was let go; -Infinity where none was. */
  evictedMs(view: StoreView, key: Buffer): number {
    return this.of(view, key).evictedMs ?? -Infinity;
  }
}

/** Windows close in the order of their ends, so with the last of them those that were let go are over too. */
function put(view: StoreView, key: StateKey, open: OpenWindows): void {
  const timestamp = open.starts.at(-1);
  view.set(key, timestamp === undefined ? null : { value: open, timestamp, dueMs: null });
}

/** The fault of what a store has for a key, or null. */
export function wrongOpenWindows(stored: unknown): string | null {
  const { starts, evictedMs } = (stored ?? {}) as Partial<OpenWindows>;
  if (!Array.isArray(starts) || starts.length === 0) return "it has no windows";
  if (!starts.every((one) => Number.isSafeInteger(one))) return "a window lacks its start";
  return evictedMs === null || Number.isSafeInteger(evictedMs) ? null : "it lacks an end";
}
