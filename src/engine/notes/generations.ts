// The generations of a pipeline's dead letters. A reset, a promotion and an undo each begin one, with a note in
// `<pipeline>-meta` that says from where each task reads on. A letter belongs to the generation in which its record failed,
// and it is over when a later generation reads that record again. The parents make a line: an undo goes back to the
// generation before the promotion, so all that was read and said in between belongs to another line.
import { MillraceError } from "../core/errors.ts";
import { parseKnown } from "../core/foreign.ts";
import type { Operated } from "../core/lead.ts";
import { withReaders } from "../core/pieces.ts";
import type { Plan } from "../core/plan.ts";
import { taskKey, type OutRecord, type TaskAt, type TopicName } from "../core/record.ts";
import { isResult } from "../core/state-results.ts";
import { lostNote, requireNote, type NoteFault, type Notes } from "./faults.ts";
import { noteChecks } from "./kinds.ts";
import { noteRecord } from "./notes.ts";

/** The records that one task reads in a generation: from an offset on, until a later generation stops it. */
export interface Reading extends TaskAt {
  readonly from: bigint;
  /** The next offset of the task when the generation began; null when it was lost. */
  readonly stopped: bigint | null;
  /** The topic is another one of the same name: letters of the old one are all that is left of their records. */
  readonly isOther?: boolean;
  /** The topic is the pipeline's own, and all its records are made again under new offsets. */
  readonly isMade?: boolean;
}

export interface Generation {
  readonly number: number;
  readonly parent: number;
  readonly why: "reset" | "promote" | "undo";
  /** The run that was promoted or undone. */
  readonly run: number | null;
  readonly atMs: number;
  /** Its command has not ended, so that nobody may read. */
  readonly isUnfinished: boolean;
  /** Other stores: records that were queued in those of before do not come back. */
  readonly hasOtherStores: boolean;
  readonly readings: readonly Reading[];
}

const keyOf = (number: number): string => `generation/${String(number)}`;

export const generationRecord = (meta: TopicName, { number, ...facts }: Generation): OutRecord =>
  noteRecord(meta, keyOf(number), JSON.stringify(facts, stored));

/** Offsets are beyond what a JSON number holds; a task takes no bytes for what is not so, as there may be thousands. */
function stored(name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return value === false && (name === "isOther" || name === "isMade") ? undefined : value;
}

type StoredReading = Omit<Reading, "from" | "stopped"> & {
  readonly from: string;
  readonly stopped: string | null;
};
type StoredGeneration = Omit<Generation, "number" | "readings"> & {
  readonly readings: readonly StoredReading[];
};

/** The number of the last one; the first one, which is 0, has no note. */
function lastOf(notes: Notes): number {
  let number = 0;
  while (notes.has(keyOf(number + 1))) number++;
  return number;
}

/** The next one, where there may be one: its note is lost. */
export const lostGeneration = (notes: Notes): NoteFault | null =>
  lostNote(notes, keyOf(lastOf(notes) + 1));

/** By number. Throws MILL_NOTE_INVALID when there may be one more. */
export function generationsIn(of: Operated, notes: Notes): Generation[] {
  const last = lastOf(notes);
  requireNote(of, notes, keyOf(last + 1));
  return Array.from({ length: last }, (_, i) => generationIn(notes, i + 1));
}

function generationIn(notes: Notes, number: number): Generation {
  const text = notes.get(keyOf(number)) as string;
  const { readings, ...facts } = parseKnown<StoredGeneration>(text, noteChecks.generation);
  return { ...facts, number, readings: readings.map(readingOf) };
}

/** Null when there is only the first one. What is lost of later ones is for `lostGeneration` to say. */
export function lastGeneration(notes: Notes): Generation | null {
  const number = lastOf(notes);
  return number === 0 ? null : generationIn(notes, number);
}

const readingOf = ({ from, stopped, ...at }: StoredReading): Reading => ({
  ...at,
  from: BigInt(from),
  stopped: stopped === null ? null : BigInt(stopped),
});

/** The place of a record that failed, as the part of today reads it. */
export interface LetterPlace extends TaskAt {
  readonly offset: bigint;
  /** The generation in which it failed, or was sent back. */
  readonly generation: number;
  /** The run's own topic that the offset belongs to; null for a topic that live reads. */
  readonly readIn: TopicName | null;
}

/** A generation and those that it comes from. */
export class Lineage {
  /** The oldest first, without generation 0. */
  readonly #line: readonly Generation[];
  readonly current: number;
  /** By task. */
  readonly #readings: ReadonlyMap<string, readonly (readonly [Generation, Reading])[]>;

  /** As seen from the last generation, unless it is said from which. */
  constructor(plan: Plan, all: readonly Generation[], current: number = all.length) {
    this.current = current;
    const line: Generation[] = [];
    for (let at = all[current - 1]; at !== undefined; at = all[at.parent - 1]) line.unshift(at);
    this.#line = line;
    const readings = line.flatMap((one) =>
      withReaders(plan, one.readings).map((reading) => [one, reading] as const),
    );
    this.#readings = Map.groupBy(readings, ([, reading]) => taskKey(reading));
  }

  has(generation: number): boolean {
    return generation === 0 || this.#line.some(({ number }) => number === generation);
  }

  /** The generation that reads the record of a letter again, or null: then the letter is carried on. */
  overBy(letter: LetterPlace): Generation | null {
    // Other stores make their results anew.
    if (isResult(letter)) return this.#othersAfter(letter.generation).at(0) ?? null;
    return this.#readBy(letter);
  }

  #readBy(letter: LetterPlace): Generation | null {
    const later = this.#laterThan(letter);
    for (const [i, [generation, { from, isOther, isMade }]] of later.entries()) {
      if (isOther === true) return null;
      if (isMade === true) return generation;
      // mistake: range without its end
      const stopped = later[i + 1]?.[1].stopped ?? null;
      const isRead = letter.offset >= from && (stopped === null || letter.offset < stopped);
      if (isRead && letter.readIn === null) return generation;
    }
    return null;
  }

  /** The offset to which its own generation has read; null when it still reads, or that was lost. */
  stopOf(letter: LetterPlace): bigint | null {
    return this.#laterThan(letter)[0]?.[1].stopped ?? null;
  }

  /** Whether the stores of that generation are those of today. */
  hasStoresOf(generation: number): boolean {
    return this.#othersAfter(generation).length === 0;
  }

  #othersAfter(generation: number): readonly Generation[] {
    return this.#line.filter((one) => one.number > generation && one.hasOtherStores);
  }

  #laterThan(letter: LetterPlace): readonly (readonly [Generation, Reading])[] {
    const own = this.#readings.get(taskKey(letter)) ?? [];
    return own.filter(([{ number }]) => number > letter.generation);
  }
}

/** Throws MILL_NOT_FOUND when there was no such generation. */
export function lineageOf(plan: Plan, notes: Notes, current?: number): Lineage {
  const all = generationsIn(plan, notes);
  if (current === undefined || current <= all.length) return new Lineage(plan, all, current);
  const detail = `generation ${String(current)} of letters; the last one is ${String(all.length)}`;
  throw new MillraceError("MILL_NOT_FOUND", detail);
}
