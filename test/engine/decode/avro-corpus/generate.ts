// Draws pairs of a writer's and a reader's schema with the bytes of records, from a seed.
import { schemaOf } from "./model.ts";
import { Chance } from "../../../support/chance.ts";
import { Readers } from "./readers.ts";
import { bodyOf, Writers } from "./writers.ts";

export interface Pair {
  readonly writer: unknown;
  readonly reader: unknown;
  /** Records of the writer, in hex. */
  readonly bodies: readonly string[];
}

const BODIES = 3;

export function pairsOf(seed: number, count: number): readonly Pair[] {
  const chance = new Chance(seed);
  const writers = new Writers(chance);
  const readers = new Readers(chance);
  const styles = (): number => chance.next();
  return Array.from({ length: count }, () => {
    const writer = writers.record();
    const reader = readers.readerOf(writer);
    const bodies = Array.from({ length: BODIES }, () => bodyOf(writer, chance).toString("hex"));
    return { writer: schemaOf(writer, styles), reader: schemaOf(reader, styles), bodies };
  });
}
