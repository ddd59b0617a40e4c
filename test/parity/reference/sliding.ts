// Sliding windows [start, start + difference], both ends inclusive: one that ends with each record, and one that begins
// behind it where there are records in it. Records before `difference` share [0, difference].
import type { Case, Fed } from "../cases.ts";
import { type Answer, type Exchanged, type Reference, windowRow } from "./rows.ts";

export const slidingRows: Reference = (one, exchanged) =>
  exchanged.has("sliding windows")
    ? new TheirSliding(one, exchanged).answer()
    : ours(one, exchanged);

interface Timed extends Fed {
  /** The largest time so far, when it was read. */
  readonly o: number;
}
const differenceOf = ({ operator }: Case): number =>
  (operator as { readonly difference: number }).difference;

function ours(one: Case, exchanged: Exchanged): Answer {
  const { ourGrace: grace, records } = one;
  const difference = differenceOf(one);
  let time = -Infinity;
  const timed = records.map((record): Timed => ({
    ...record,
    o: (time = Math.max(time, record.t)),
  }));
  const isOnTime = ({ o }: Timed, end: number): boolean => o <= end + grace;
  const late = timed.filter((record) => !isOnTime(record, record.t + difference)).length;
  const rows: string[] = [];
  for (const [key, list] of Map.groupBy(timed, (record) => record.key)) {
    const within = (start: number): Timed[] => {
      const end = start + difference;
      return list.filter((one) => one.t >= start && one.t <= end && isOnTime(one, end));
    };
    const starts = new Set<number>();
    for (const record of list) {
      const left = Math.max(0, record.t - difference);
      if (isOnTime(record, left + difference)) starts.add(left);
      const right = record.t + 1;
      if (isOnTime(record, record.t + difference) && within(right).length > 0) starts.add(right);
    }
    for (const start of starts) {
      const end = start + difference;
      if (end + grace >= time) continue;
      const content = within(start);
      const t = exchanged.has("row time") ? Math.max(...content.map((one) => one.t)) : end;
      rows.push(windowRow({ key, start, end, t, values: content.map(({ value }) => value) }));
    }
  }
  return { rows, late };
}

interface Window {
  readonly values: readonly string[];
  readonly largest: number;
}

/** The stored windows around a record: the one that it ends, and the nearest on either side. */
interface Beside {
  readonly right: Window | null;
  readonly left: Window | null;
  readonly own: Window | null;
}

/** By windows that are stored: what a record does depends on the windows that are there when it comes. */
class TheirSliding {
  readonly #one: Case;
  readonly #difference: number;
  readonly #isAtLargest: boolean;
  readonly #keys = new Map<string, Map<number, Window>>();
  readonly #rows: string[] = [];
  readonly #out = new Set<string>();
  #time = -Infinity;

  constructor(one: Case, exchanged: Exchanged) {
    this.#one = one;
    this.#difference = differenceOf(one);
    this.#isAtLargest = exchanged.has("row time");
  }

  answer(): Answer {
    let late = 0;
    for (const record of this.#one.records) {
      this.#time = Math.max(this.#time, record.t);
      if (!this.#isOpen(record.t)) {
        late++;
        continue;
      }
      const windows = this.#keys.get(record.key) ?? new Map<number, Window>();
      this.#keys.set(record.key, windows);
      if (record.t < this.#difference) this.#early(record, windows);
      else {
        this.#add(record, windows);
        this.#emit();
      }
    }
    return { rows: this.#rows, late };
  }

  #isOpen(start: number): boolean {
    return start + this.#difference >= this.#time - this.#one.grace;
  }

  #update(windows: Map<number, Window>, start: number, from: Window | null, record: Fed): void {
    if (!this.#isOpen(start)) return;
    const { values = [], largest = -Infinity } = from ?? {};
    const next = { values: [...values, record.value], largest: Math.max(largest, record.t) };
    windows.set(start, next);
  }

  #add(record: Fed, windows: Map<number, Window>): void {
    const from = record.t - this.#difference;
    const stored = [...windows].filter(
      ([start]) => start >= from - this.#difference && start <= record.t,
    );
    const inReverse = stored.sort(([a], [b]) => b - a);
    const [, right = null] = inReverse.find(([start]) => start > from) ?? [];
    const [, left = null] = inReverse.find(([start]) => start < from) ?? [];
    const own = windows.get(from) ?? null;
    for (const [start, window] of inReverse)
      if (start >= from) this.#update(windows, start, window, record);
    // The windows of an earlier record of this time are there already.
    if (own === null || own.largest < record.t) this.#open(record, windows, { right, left, own });
  }

  #open(record: Fed, windows: Map<number, Window>, { right, left, own }: Beside): void {
    const from = record.t - this.#difference;
    const previous = (left ?? own)?.largest ?? null;
    if (previous !== null) this.#behindPrevious(previous, windows, record);
    if (own === null) {
      const isIn = previous !== null && previous >= from;
      this.#update(windows, from, isIn ? left : null, record);
    }
    this.#behindOwn(right, windows, record);
  }

  #behindPrevious(previous: number, windows: Map<number, Window>, record: Fed): void {
    const start = previous + 1;
    if (!windows.has(start) && start + this.#difference >= record.t)
      this.#update(windows, start, null, record);
  }

  #behindOwn(right: Window | null, windows: Map<number, Window>, { t }: Fed): void {
    if (right !== null && right.largest > t && !windows.has(t + 1)) windows.set(t + 1, right);
  }

  #early(record: Fed, windows: Map<number, Window>): void {
    const { t } = record;
    const combined = windows.get(0) ?? null;
    const previous = combined !== null && combined.largest < t ? combined.largest : null;
    let right: Window | null = null;
    const starts = [...windows.keys()].filter((start) => start > 0 && start <= t);
    for (const start of starts.sort((a, b) => a - b)) {
      right = windows.get(start) as Window;
      this.#update(windows, start, right, record);
    }
    if (right === null && combined !== null && combined.largest > t) right = combined;
    this.#behindOwn(right, windows, record);
    if (previous !== null && !windows.has(previous + 1))
      this.#update(windows, previous + 1, null, record);
    this.#update(windows, 0, combined, record);
  }

  #emit(): void {
    for (const [key, windows] of this.#keys)
      for (const [start, { values, largest }] of windows) {
        const id = `${key} ${String(start)}`;
        const end = start + this.#difference;
        if (this.#isOpen(start) || this.#out.has(id)) continue;
        this.#out.add(id);
        const t = this.#isAtLargest ? largest : end;
        this.#rows.push(windowRow({ key, start, end, t, values }));
      }
  }
}
