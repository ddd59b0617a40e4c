// Randomness that repeats: the same seed gives the same numbers, so a failing run can be run again.
import type { Random } from "../../core/ports.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Mulberry32: 32 bits of state, good enough for jitter and ids. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const letter = (): string => ALPHABET.charAt(Math.floor(next() * ALPHABET.length));
  return { next, token: (length) => Array.from({ length }, letter).join("") };
}
