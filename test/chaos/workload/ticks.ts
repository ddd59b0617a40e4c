// Ticks and tocks, which come beside the orders: their times are counted, a little out of order, and a fault may have some sent with
// other times, or again.
import type { OutRecord } from "../../../src/engine/core/record.ts";
import { PARTITIONS, type ChaosApp } from "../../support/apps/chaos.ts";
import type { Value } from "../../support/simulation/values.ts";

/** A tick comes with every so many orders, and a tock between two ticks. */
const EVERY = 4;
const KEYS = 7;
/** No tock comes with each of so many. */
const MISSING_EVERY = 3;
/** Their times go back by less than the grace of what waits for them. */
const DISORDER_MS = 800;

/** A tick that is not like the others. */
export interface OddTick {
  /** So much older than it would be. */
  readonly shiftMs?: number;
  /** Once more the tick that came so many ms before. */
  readonly againMs?: number;
}

export interface TickClock {
  readonly startMs: number;
  readonly perSecond: number;
}

/** The number of the tick's order, where one comes with it. */
export const isTick = (n: number): boolean => n % EVERY === 0;

/** Beside the order of that number. */
export function beside(
  app: ChaosApp,
  clock: TickClock,
  n: number,
  odd: OddTick = {},
): readonly OutRecord[] {
  const timeMs = clock.startMs + (n * 1_000) / clock.perSecond;
  if (isTick(n)) {
    const shiftMs = odd.shiftMs ?? disorderOf(n, 7_919);
    return [recordOf(app.ticks.name, numberOf(n, odd, clock), timeMs - shiftMs)];
  }
  const isTock = n % EVERY === EVERY / 2 && Math.floor(n / EVERY) % MISSING_EVERY !== 0;
  return isTock ? [recordOf(app.tocks.name, n - EVERY / 2, timeMs - disorderOf(n, 6_101))] : [];
}

const disorderOf = (n: number, by: number): number => (n * by) % DISORDER_MS;

function numberOf(n: number, { againMs }: OddTick, { perSecond }: TickClock): number {
  if (againMs === undefined) return n;
  const before = Math.ceil((againMs * perSecond) / 1_000 / EVERY) * EVERY;
  return Math.max(0, n - before);
}

/** Keys end with the partition, by which the oracle knows whose they are. */
function recordOf(topic: string, n: number, timeMs: number): OutRecord {
  const partition = (n / EVERY) % PARTITIONS;
  const at = Math.floor(n / EVERY / PARTITIONS);
  const value: Value = { i: "", n, g: "", v: Math.floor(at * 0.37) };
  return {
    ...{ topic, partition, key: Buffer.from(`tick${String(at % KEYS)}-${String(partition)}`) },
    value: Buffer.from(JSON.stringify(value)),
    headers: [],
    timestamp: Math.floor(timeMs),
  };
}
