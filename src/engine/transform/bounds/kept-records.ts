// The records that a join keeps of each key and side, counted by bucket in a store of its own: kept where they are bounded.
import type { StateKey, StoreView } from "../../core/state.ts";
import { stateKey, type Want } from "../operator.ts";

/** Buckets and their records, in the order of time. */
type KeptCounts = readonly (readonly [startMs: number, records: number])[];

/** A key's list of one bucket. */
export interface KeptAt {
  readonly side: number;
  readonly startMs: number;
  readonly key: Buffer;
}

const placeOf = ({ side, key }: KeptAt): StateKey =>
  stateKey(Buffer.concat([Buffer.of(side), key]));

export class KeptRecords {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  want(at: KeptAt, want: Want): void {
    want(this.name, placeOf(at));
  }

  /** Those of the key and side, in all buckets. */
  total(view: StoreView, at: KeptAt): number {
    return countsIn(view, at).reduce((sum, [, records]) => sum + records, 0);
  }

  /** More or fewer in one bucket. Those that were kept before there was a bound were not counted. */
  add(view: StoreView, at: KeptAt, by: number): void {
    if (by === 0) return;
    const counts = countsIn(view, at);
    const own = counts.find(([startMs]) => startMs === at.startMs)?.[1] ?? 0;
    const others = counts.filter(([startMs]) => startMs !== at.startMs);
    const all: KeptCounts = [...others, [at.startMs, own + by] as const]
      .filter(([, records]) => records > 0)
      .sort(([a], [b]) => a - b);
    const last = all.at(-1);
    view.set(
      placeOf(at),
      last === undefined ? null : { value: all, timestamp: last[0], dueMs: null },
    );
  }
}

const countsIn = (view: StoreView, at: KeptAt): KeptCounts =>
  (view.get(placeOf(at))?.value ?? []) as KeptCounts;

/** The fault of what a store has for a key and side, or null. */
export function wrongKept(stored: unknown): string | null {
  if (!Array.isArray(stored) || stored.length === 0) return "it is no list";
  const isCount = (one: unknown): boolean =>
    Array.isArray(one) && one.length === 2 && one.every((number) => Number.isSafeInteger(number));
  return (stored as readonly unknown[]).every(isCount) ? null : "it counts no records";
}
