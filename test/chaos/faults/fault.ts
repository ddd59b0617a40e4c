// What a fault is: a row of the matrix, what it needs, and how it is done to a flow that goes on. It says how often it
// was to strike and how often it was seen to: a fault that did not strike proves nothing.
import type { Random } from "../../../src/engine/core/ports.ts";
import type { World } from "../world/world.ts";

export interface Struck {
  readonly planned: number;
  readonly fired: number;
  /** performance.now() when recovery could begin; default: when `inject` returns. */
  readonly endedMs?: number;
  /** What was seen. */
  readonly note: string;
}

export interface Fault {
  readonly row: number;
  readonly name: string;
  /** How it is done here. */
  readonly how: string;
  readonly brokers: 1 | 3;
  inject(world: World, random: Random): Promise<Struck>;
}

export const once = (hasFired: boolean, note: string, endedMs?: number): Struck => ({
  planned: 1,
  fired: hasFired ? 1 : 0,
  note,
  ...(endedMs === undefined ? {} : { endedMs }),
});

/** A whole number from `least` to `most`. */
export const between = (random: Random, least: number, most: number): number =>
  least + Math.floor(random.next() * (most - least + 1));
