// Generators beside a clock that moves on with their records.
import { generators } from "../../src/demo/generators.ts";

interface Paced {
  readonly count: number;
  /** How many of them are looked at; all unless said otherwise. */
  readonly first?: number;
  readonly startMs: number;
  readonly perSecond: number;
}

/** The time that lies furthest ahead of the clock when its record is made, in ms: negative when all lag. */
export function furthestAhead(kind: string, paced: Paced): number {
  const { count, first = Infinity, startMs, perSecond } = paced;
  const generator = generators[kind];
  if (generator === undefined) throw new TypeError(kind);
  let made = 0;
  let furthest = -Infinity;
  const now = (): number => startMs + (made * 1_000) / perSecond;
  const extra = generator.hasAnomalies ? Math.min(count, 50_000) : 0;
  const options = { seed: 1, count, updates: extra, repeats: extra, poison: 0, now };
  for (const { value } of generator.records(options)) {
    for (const time of timesIn(value)) furthest = Math.max(furthest, time - now());
    if (++made >= first) break;
  }
  return furthest;
}

const TIMES = ["transactionTimestamp", "orderDate", "updatedAt", "createdDate"];

const timesIn = (value: unknown): number[] =>
  TIMES.flatMap((field) => {
    const time = (value as Record<string, unknown>)[field];
    return typeof time === "number" ? [time] : [];
  });
