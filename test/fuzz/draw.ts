// Draws of one case: the seed, the kind and the number of the case decide all of them, so a case can be made again alone.
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";

export class Draw {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed).next;
  }

  /** A whole number below `end`. */
  below(end: number): number {
    return Math.floor(this.#next() * end);
  }
  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }
  chance(share: number): boolean {
    return this.#next() < share;
  }
  of<T>(all: readonly T[]): T {
    if (all.length === 0) throw new Error("nothing to draw from");
    return all[this.below(all.length)] as T;
  }
  list<T>(least: number, most: number, make: (at: number) => T): T[] {
    return Array.from({ length: this.between(least, most) }, (_, i) => make(i));
  }
  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.below(256);
    return bytes;
  }
  /** Mostly small, seldom near `most`. */
  size(most: number): number {
    return this.below(this.chance(0.02) ? most + 1 : Math.min(most, 64) + 1);
  }
}

/** FNV-1a over the facts that name a case. */
export function caseSeed(seed: number, kind: string, number: number): number {
  let hash = 0x811c9dc5;
  for (const character of `${String(seed)}/${kind}/${String(number)}`)
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash;
}
