// Begins a generation of letters: the note that says from where each task reads on. Written once, while nobody is at work,
// inside the operator's transactional id, so that no command says anything of letters in between. A command that is
// repeated finds the note of its first try.
import type { TxProducer } from "../../core/kafka.ts";
import { withReaders } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import { taskKey, type TaskAt } from "../../core/record.ts";
import { readRange } from "../../core/read-range.ts";
import { redriveOrderOf, stateRecord } from "../../core/redrive.ts";
import {
  generationRecord,
  generationsIn,
  Lineage,
  type Generation,
  type Reading,
} from "../../notes/generations.ts";
import { readNotes } from "../../notes/notes.ts";
import { letterPlace, type FoundLetter } from "../found-letter.ts";
import { readLetters, type LetterPorts } from "../read-letters.ts";
import { asOperator, BatchWriter, writeAll } from "./operator.ts";

export type NewGeneration = Pick<Generation, "why" | "run" | "readings" | "hasOtherStores">;

/** Of a promotion, or of its undo. Returns the one that is there after an earlier try. */
export async function beginGeneration(
  plan: Plan,
  given: NewGeneration,
  producer: TxProducer,
  ports: LetterPorts,
): Promise<Generation> {
  const all = generationsIn(plan, await readNotes(ports, plan.meta));
  const last = all.findLast(({ run }) => run === given.run);
  if (last?.why === given.why) return last;
  // mistake: lineage ignores the undo
  const parent = given.why === "undo" ? (last?.parent ?? all.length) : all.length;
  const atMs = ports.clock.now();
  const begun = { ...given, number: all.length + 1, parent, atMs, isUnfinished: false };
  await writeAll(producer, [generationRecord(plan.meta, begun)]);
  return begun;
}

/** Records of the redrive topic that a part passes over. */
export interface SkippedRedrives extends TaskAt {
  readonly from: bigint;
  readonly to: bigint;
  /** To the end: nothing of the part is on its way then, also what is not in the topic any more. */
  readonly isAll: boolean;
}

export interface Resetting {
  readonly readings: readonly Reading[];
  readonly hasOtherStores: boolean;
  readonly skipped: readonly SkippedRedrives[];
  /** Where the tasks are now. */
  positions(): Promise<ReadonlyMap<string, bigint>>;
}

/**
 * Of a reset. It stays unfinished, so that nobody reads, until its note is written again at the end. What a reset that has
 * died has put elsewhere already keeps the offset where it was stopped.
 */
export function beginReset(
  plan: Plan,
  resetting: Resetting,
  ports: LetterPorts,
): Promise<Generation> {
  return asOperator(plan, ports, async (producer, made) => {
    const all = generationsIn(plan, await readNotes(ports, plan.meta));
    const last = all.at(-1);
    const died = last?.isUnfinished === true ? last : null;
    const before = died === null ? [] : withReaders(plan, died.readings);
    const {
      hasOtherStores: hadOther,
      number,
      parent,
    } = died ?? {
      ...{ hasOtherStores: false, number: all.length + 1, parent: all.length },
    };
    const generation: Generation = {
      ...{ why: "reset", run: null, atMs: ports.clock.now(), isUnfinished: true },
      ...{ number, parent, hasOtherStores: resetting.hasOtherStores || hadOther },
      readings: merged(resetting.readings, before, await resetting.positions()),
    };
    const { letters } = await readLetters(plan, made);
    const writing = new BatchWriter(producer);
    await writing.add(generationRecord(plan.meta, generation));
    const open = await skippedLetters(plan, resetting.skipped, letters, ports);
    for (const { id, redrives, code: outcome } of open) {
      const state = { state: "open", redrives, outcome, atMs: generation.atMs } as const;
      const said = { id, generation: generation.number };
      await writing.add(stateRecord(plan.letterStates, said, state));
    }
    await writing.end();
    return generation;
  });
}

function merged(
  now: readonly Reading[],
  before: readonly Reading[],
  positions: ReadonlyMap<string, bigint>,
): readonly Reading[] {
  const known = new Map(before.map((reading) => [taskKey(reading), reading]));
  const named = new Set(now.map(taskKey));
  return [
    ...now.map((reading) => {
      const first = known.get(taskKey(reading));
      return first === undefined ? reading : { ...reading, stopped: first.stopped };
    }),
    ...before.filter(
      (reading) => !named.has(taskKey(reading)) && positions.get(taskKey(reading)) === reading.from,
    ),
  ];
}

/** The number of open letters that would be over; changes nothing. */
export async function openWithinReset(
  plan: Plan,
  readings: readonly Reading[],
  ports: LetterPorts,
): Promise<number> {
  const all = generationsIn(plan, await readNotes(ports, plan.meta));
  const { letters } = await readLetters(plan, ports);
  const next = { why: "reset", run: null, atMs: 0, isUnfinished: true, readings } as const;
  const numbers = { number: all.length + 1, parent: all.length, hasOtherStores: false };
  return openWithin(plan, letters, [...all, { ...next, ...numbers }]);
}

/** The number of open letters that are over by the last of these generations. */
export function openWithin(
  plan: Plan,
  letters: readonly FoundLetter[],
  all: readonly Generation[],
): number {
  const lineage = new Lineage(plan, all);
  return letters.filter(
    (letter) =>
      letter.state.state === "open" && lineage.overBy(letterPlace(letter))?.number === all.length,
  ).length;
}

/** Letters on their way back whose records are passed over. */
async function skippedLetters(
  { redrive }: Plan,
  skipped: readonly SkippedRedrives[],
  letters: readonly FoundLetter[],
  { kafka }: LetterPorts,
): Promise<readonly Omit<FoundLetter, "said">[]> {
  // Also those that are over: a later reset may pass over their records before they are read again.
  const onTheWay = letters.flatMap(({ said, ...letter }) =>
    said?.state === "redriven" && said.queued !== true ? [{ ...letter, said }] : [],
  );
  const found: Omit<FoundLetter, "said">[] = [];
  for (const { part, partition, from, to, isAll } of skipped) {
    const own = onTheWay.filter((one) => one.part === part && one.origin.partition === partition);
    const passed = new Set<string>();
    if (!isAll && own.length > 0)
      // A batch that nobody can read has no order of ours, and is what such a reset passes over.
      for await (const { records } of readRange(
        kafka,
        { topic: redrive, partition, from, to },
        { onUnreadable: () => undefined },
      ))
        for (const { headers } of records) {
          const order = redriveOrderOf(headers);
          if (order !== null) passed.add(nameOf(order));
        }
    found.push(...own.filter(({ id, said }) => isAll || passed.has(nameOf({ id, ...said }))));
  }
  return found;
}

const nameOf = ({ id, redrives }: { readonly id: string; readonly redrives: number }): string =>
  `${id}/${String(redrives)}`;
