// Windows with a bound, as the oracle has them: directly on a source, one record after another. Before each of them those windows
// close that time has passed. Behind a new key the order of records is free, and so is which of them finds its key full.
import {
  ADVANCE_MS,
  boundedDelayMs,
  boundedIn,
  GAP_MS,
  SIZE_MS,
} from "../../operators/windows/bounded.ts";
import type { Node } from "../../case.ts";
import { mod, Refused, windowed } from "../../values.ts";
import type { Trail } from "../way.ts";
import type { KeyedItem, OperatorOracle } from "./oracle.ts";
import type { Result } from "./results.ts";

interface Open {
  readonly startMs: number;
  /** Behind the last ms of a window; the last record of a session. */
  readonly endMs: number;
  readonly count: number;
}

/** The windows of one key. */
interface Windows {
  readonly open: readonly Open[];
  /** The largest end that has made room. */
  readonly evictedMs: number;
  readonly gone: readonly Open[];
}

export class BoundedOracle implements OperatorOracle {
  readonly isInOrder = true;
  readonly #node: Node;
  readonly #isGrouped: boolean;
  /** By partition and key. */
  readonly #keys = new Map<number, Map<string, Windows>>();
  readonly #made: Result[] = [];
  /** Windows that went ahead of their time. */
  evicted = 0;
  /** Those behind a new key. */
  readonly items: KeyedItem[] = [];

  constructor(node: Node, isGrouped: boolean) {
    [this.#node, this.#isGrouped] = [node, isGrouped];
  }

  take(item: KeyedItem, trail: Trail): boolean {
    if (this.#isGrouped) {
      this.items.push(item);
      trail.emitted++;
      return false;
    }
    const { key, partition, movedMs } = item;
    // A record that fails has moved time all the same.
    this.#letGo(partition, movedMs);
    const own = this.#own(partition);
    const before = own.get(key) ?? { open: [], evictedMs: -Infinity, gone: [] };
    const isSession = boundedIn(this.#node).kind === "session";
    const { after, isLate, isTaken } = isSession
      ? this.#inSession(item, before)
      : this.#inWindows(item, before);
    if (isTaken) trail.emitted++;
    trail.writes.push(() => {
      own.set(key, { ...after, gone: [] });
      this.evicted += after.gone.length;
      for (const one of after.gone) this.#result(key, partition, one);
    });
    return isLate;
  }

  /** Opens all windows of a record before it is counted in any. */
  #inWindows({ timeMs, originMs }: KeyedItem, before: Windows) {
    const { kind, graceMs } = boundedIn(this.#node);
    const advanceMs = kind === "hopping" ? ADVANCE_MS : SIZE_MS;
    const last = timeMs - mod(timeMs, advanceMs);
    const starts: number[] = [];
    for (let start = last; start > timeMs - SIZE_MS; start -= advanceMs) starts.unshift(start);
    let windows = before;
    for (const startMs of starts)
      if (originMs < startMs + SIZE_MS + graceMs) windows = this.#opened(windows, startMs);
    const isOpen = ({ startMs }: Open): boolean => starts.includes(startMs);
    const taken = windows.open.filter(isOpen).length;
    const open = windows.open.map((one) => (isOpen(one) ? counted(one) : one));
    // One that the record itself has opened has nothing to show.
    const gone = windows.gone.filter(({ count }) => count > 0);
    const after = { ...windows, open, gone };
    return { after, isLate: taken < starts.length, isTaken: taken > 0 };
  }

  #opened(windows: Windows, startMs: number): Windows {
    const { open, evictedMs, gone } = windows;
    const endMs = startMs + SIZE_MS;
    if (endMs <= evictedMs || open.some((one) => one.startMs === startMs)) return windows;
    const room = this.#room(open.length + 1);
    if (room > 0 && startMs < (open[0]?.startMs ?? Infinity)) return windows;
    const left = [...open.slice(room), { startMs, endMs, count: 0 }];
    return {
      open: left.sort((a, b) => a.startMs - b.startMs),
      evictedMs: open[room - 1]?.endMs ?? evictedMs,
      gone: [...gone, ...open.slice(0, room)],
    };
  }

  /** How many must go of so many. */
  #room(windows: number): number {
    const { most, whenFull } = boundedIn(this.#node);
    const over = Math.max(0, windows - most);
    if (over > 0 && whenFull === "dead-letter") throw new Refused();
    return over;
  }

  #inSession({ timeMs, originMs }: KeyedItem, before: Windows) {
    const { open, evictedMs } = before;
    const late = { after: before, isLate: true, isTaken: false };
    if (timeMs < originMs - boundedIn(this.#node).graceMs) return late;
    if (timeMs - GAP_MS <= evictedMs) return late;
    const isNear = ({ startMs, endMs }: Open): boolean =>
      timeMs >= startMs - GAP_MS && timeMs <= endMs + GAP_MS;
    const near = open.filter(isNear);
    const room = near.length > 0 ? 0 : this.#room(open.length + 1);
    const gone = open.slice(0, room);
    if (timeMs < (gone.at(-1)?.startMs ?? -Infinity)) return late;
    const joined = near.reduce(
      (all, { startMs, endMs, count }): Open => ({
        startMs: Math.min(all.startMs, startMs),
        endMs: Math.max(all.endMs, endMs),
        count: all.count + count,
      }),
      { startMs: timeMs, endMs: timeMs, count: 1 },
    );
    const others = open.slice(room).filter((one) => !isNear(one));
    const after: Windows = {
      open: [...others, joined].sort((a, b) => a.startMs - b.startMs),
      evictedMs: gone.at(-1)?.endMs ?? evictedMs,
      gone,
    };
    return { after, isLate: false, isTaken: true };
  }

  /** In the order of time and key: those that time has passed. */
  #letGo(partition: number, nowMs: number): void {
    const { kind } = boundedIn(this.#node);
    const delayMs = boundedDelayMs(this.#node);
    const isOver = ({ endMs }: Open): boolean =>
      kind === "session" ? endMs + delayMs < nowMs : endMs + delayMs <= nowMs;
    const over: [string, Open][] = [];
    for (const [key, windows] of this.#own(partition)) {
      for (const one of windows.open.filter(isOver)) over.push([key, one]);
      const open = windows.open.filter((one) => !isOver(one));
      // Time has passed what made room before the last of them.
      const evictedMs = open.length === 0 ? -Infinity : windows.evictedMs;
      this.#own(partition).set(key, { open, evictedMs, gone: [] });
    }
    over.sort(([k, a], [l, b]) => a.endMs - b.endMs || (k < l ? -1 : 1));
    for (const [key, one] of over) this.#result(key, partition, one);
  }

  #result(key: string, partition: number, { startMs, endMs, count }: Open): void {
    const timeMs = boundedIn(this.#node).kind === "session" ? endMs : endMs - 1;
    this.#made.push({ key, partition, value: windowed(count, startMs), timeMs, originMs: timeMs });
  }

  #own(partition: number): Map<string, Windows> {
    const own = this.#keys.get(partition) ?? new Map<string, Windows>();
    this.#keys.set(partition, own);
    return own;
  }

  close(watermarks: readonly number[]): Iterable<Result> {
    for (const partition of this.#keys.keys())
      this.#letGo(partition, watermarks[partition] ?? -Infinity);
    return this.#made;
  }
}

const counted = (one: Open): Open => ({ ...one, count: one.count + 1 });
