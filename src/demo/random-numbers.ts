// Numbers that look random and are the same for the same seed, on every machine (mulberry32).
// For demo data only: not for keys, tokens or anything secret.

export interface RandomNumbers {
  /** In [0, 1). */
  fraction(): number;
  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number;
  pick<T>(from: readonly T[]): T;
}

/** A sequence of its own for each seed and place: place 7 is the same whether or not place 6 was asked for. */
export function randomNumbers(seed: number, place = 0): RandomNumbers {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(place + 1, 0xc2b2ae35);
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const whole = (min: number, max: number): number =>
    min + Math.floor(fraction() * (max - min + 1));
  return { fraction, whole, pick: (from) => from[whole(0, from.length - 1)] as never };
}

/**
 * Exactly `share` of `count` places for each kind, scattered; every other place is 0. Kinds are numbered from 1 in the
 * order of `shares`. (Selection sampling: each place is drawn with the chance that is left.)
 */
export function scatter(
  count: number,
  shares: readonly number[],
  random: RandomNumbers,
): Uint8Array {
  const left = shares.map((share) => Math.round(count * share));
  const kinds = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    let at = random.fraction() * (count - i);
    const kind = left.findIndex((n) => (at -= n) < 0);
    if (kind < 0) continue;
    kinds[i] = kind + 1;
    left[kind] = (left[kind] ?? 0) - 1;
  }
  return kinds;
}

/** Whole cents as text with two places: "12.05", "-0.99". */
export const centsText = (cents: number): string => {
  const digits = String(Math.abs(cents)).padStart(3, "0");
  return `${cents < 0 ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

/** "o-000042": an id that sorts as its number does. */
export const idOf = (prefix: string, index: number, digits: number): string =>
  `${prefix}-${String(index).padStart(digits, "0")}`;
