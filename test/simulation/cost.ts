// The cost of seeds: CPU, which belongs to the machine too, and calls of servers and sleeps, which belong to the seeds
// alone and are the same everywhere. A test may bound the second only.
import { caseOf } from "../support/simulation/case.ts";
import { play, type Played } from "../support/simulation/simulate.ts";

export interface CpuMs {
  readonly mean: number;
  readonly p99: number;
  readonly max: number;
  /** The most that a seed takes by itself: see `ownMs`. */
  readonly own: number;
}

export interface Cost {
  /** The CPU of the whole process, V8's helper threads too. */
  readonly cpuMs: CpuMs;
  /** The number of seeds that took more CPU than a seed may. */
  readonly above: number;
  /** The seed that took the most by itself. */
  readonly dearest: number;
  readonly calls: { readonly mean: number; readonly max: number };
}

/**
 * Room for V8 before it collects the whole heap, in MB: nothing of a seed outlives it, and such a collection would fall on
 * whatever seed is there by chance.
 */
export const nodeFlags: readonly string[] = ["--initial-old-space-size=512"];

/** More than nearly every seed takes: one above it is played again, to see what is its own. */
export const CPU_MS_MAX = 250;
/** The first seeds pay for what V8 compiles once; of a few seeds, the first tenth. */
const WARM_UP_SEEDS = 100;
const TRIES = 3;

/** The cost of seeds that hold: one that never comes to rest is a finding, and takes what it takes. */
export async function costOf(played: readonly Played[]): Promise<Cost> {
  const all = played.filter(({ failure }) => failure === null);
  const warm = all.slice(Math.min(WARM_UP_SEEDS, Math.floor(all.length / 10)));
  const ordered = warm.sort((a, b) => a.cpuMs - b.cpuMs);
  const above = ordered.filter(({ cpuMs }) => cpuMs > CPU_MS_MAX);
  const below = ordered.slice(0, ordered.length - above.length);
  const owns = below.slice(-1).map(({ seed, cpuMs }) => ({ seed, ms: cpuMs }));
  for (const { seed } of above) owns.push({ seed, ms: await ownMs(seed) });
  const [dearest] = owns.sort((a, b) => b.ms - a.ms);
  const calls = all.map((one) => one.calls);
  return {
    cpuMs: {
      mean: rounded(mean(ordered.map(({ cpuMs }) => cpuMs))),
      p99: rounded(ordered[Math.floor(ordered.length * 0.99)]?.cpuMs ?? 0),
      max: rounded(ordered.at(-1)?.cpuMs ?? 0),
      own: rounded(dearest?.ms ?? 0),
    },
    above: above.length,
    dearest: dearest?.seed ?? 0,
    calls: { mean: rounded(mean(calls)), max: calls.reduce((a, b) => Math.max(a, b), 0) },
  };
}

/** A collection, the compiler or the machine's neighbours may fall on any seed, but hardly on the same one three times. */
async function ownMs(seed: number): Promise<number> {
  const tries: number[] = [];
  for (let i = 0; i < TRIES; i++) tries.push((await play(caseOf(seed))).cpuMs);
  return Math.min(...tries);
}

const mean = (numbers: readonly number[]): number =>
  numbers.reduce((a, b) => a + b, 0) / Math.max(1, numbers.length);
const rounded = (n: number): number => Number(n.toFixed(1));
