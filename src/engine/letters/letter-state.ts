// What became of a letter, as seen from a generation: what was said of it last in that line, unless a later generation
// reads its record again. Pure.
import type { LetterState, SaidState } from "../core/redrive.ts";
import type { Generation, Lineage } from "../notes/generations.ts";
import { isAnew, letterPlace, type LetterFacts } from "./found-letter.ts";

/** `said` is the newest state that was said of it in its own generation or later. */
export function stateOf(
  facts: LetterFacts,
  said: SaidState | undefined,
  lineage: Lineage,
): LetterState {
  // Open, it could go back although it did before.
  if (said?.state === "unreadable") return { ...said, redrives: facts.redrives };
  // In 0.1.0 such a letter was said to be the last of its record.
  const over = said?.lost === true ? null : lineage.overBy(letterPlace(facts));
  return over === null ? stateSaid(facts, said, lineage) : stateOver(facts, over);
}

const stateOver = (facts: LetterFacts, by: Generation): LetterState => ({
  ...{ state: "over", redrives: facts.redrives, atMs: by.atMs, reason: reasonOf(by, facts) },
});

function stateSaid(facts: LetterFacts, said: SaidState | undefined, lineage: Lineage): LetterState {
  const { redrives } = facts;
  const atMs = Date.parse(facts.lastTime ?? "") || 0;
  const open = { state: "open", redrives, atMs, outcome: facts.code } as const;
  // It has failed after so many redrives: an earlier state is over.
  if (said === undefined || said.redrives < redrives) return open;
  if (isAnew(facts, said)) return { ...open, redrives: said.redrives };
  if (said.passed === true) return isUnread(facts, said, lineage) ? open : passed(said);
  return isBackAgain(facts, said, lineage) ? open : said;
}

/** It was on its way and has failed once more, or it was queued in a store that is gone. */
const isBackAgain = (facts: LetterFacts, said: SaidState, lineage: Lineage): boolean => {
  if (said.state !== "redriven") return false;
  const isGone = said.queued === true && !lineage.hasStoresOf(said.generation);
  return isGone || said.redrives === facts.redrives;
};

const passed = ({ redrives, atMs, reason = "" }: SaidState): LetterState => ({
  ...{ state: "over", redrives, atMs, reason },
});

/** In 0.1.0 it was over as its record was to be read again; then a reset went past the record. */
function isUnread(facts: LetterFacts, { before }: SaidState, lineage: Lineage): boolean {
  const place = letterPlace(facts);
  const stop = lineage.stopOf(place);
  return before !== undefined && stop !== null && place.offset >= stop;
}

function reasonOf({ why, run, number }: Generation, { part }: LetterFacts): string {
  const by = run === null ? why : `${why} of run ${String(run)}`;
  return `${by}: ${part} reads its record again in generation ${String(number)}`;
}
