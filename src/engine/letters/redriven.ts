// The letters' side of an outcome: a letter for a record that failed, and, for one from the redrive topic, the new state of
// the letter that it was. A stream task commits both with the record's outputs, a sink writes both into its outbox.
import type { Outcome } from "../core/outcome.ts";
import type { PendingLetter } from "../core/ports.ts";
import type { OutRecord, RawRecord } from "../core/record.ts";
import { stateRecord, type LetterState, type RedriveOrder } from "../core/redrive.ts";
import type { Lineage } from "../notes/generations.ts";
import { generationOf, isParked, letterIdOf, letterOf, type LetterOrigin } from "./letter.ts";

/**
 * Whether the part reads the record again by itself, or the letter belongs to another line: then it must not go back. A
 * generation that the worker does not know is a reset of other parts only, as it would have been stopped for its own.
 */
export function isSuperseded(
  { origin, generation = 0, readIn }: RedriveOrder,
  part: string,
  lineage: Lineage,
): boolean {
  const place = { ...origin, part, generation, readIn: readIn ?? null };
  if (generation > lineage.current) return false;
  // mistake: superseded letter goes back
  return !lineage.has(generation) || lineage.overBy(place) !== null;
}

/** The outcome as the ledger names it, or the code of a failure. */
export function outcomeText(outcome: Outcome): string {
  if (outcome.kind === "filtered") return `filtered by ${outcome.by}`;
  if (outcome.kind === "dead-lettered") return outcome.failure.code;
  return outcome.kind === "halted" ? outcome.error.code : outcome.kind;
}

/** The new state of the letter that the record was; nothing for a record that comes for the first time. */
export function stateRecordsOf(
  raw: RawRecord,
  outcome: Outcome,
  origin: LetterOrigin,
  atMs: number,
): readonly OutRecord[] {
  if (raw.redriven === undefined || outcome.kind === "halted") return [];
  const { redrives, job } = raw.redriven.order;
  const known = { redrives, atMs, job, outcome: outcomeText(outcome) };
  const state = { ...known, ...stateAfter(raw, outcome) };
  const letter = { id: letterIdOf(origin, raw), generation: generationOf(origin, raw) };
  return [stateRecord(origin.states, letter, state)];
}

function stateAfter(
  raw: RawRecord,
  outcome: Outcome,
): Pick<LetterState, "state" | "queued" | "parked"> {
  if (outcome.kind === "emitted" && outcome.isQueued === true)
    return { state: "redriven", queued: true };
  if (outcome.kind !== "dead-lettered") return { state: "resolved" };
  return isParked(raw) ? { state: "open", parked: true } : { state: "open" };
}

/** The letter of a record that failed, and the new state of the one that it was. */
export function lettersOf(
  raw: RawRecord,
  outcome: Outcome,
  origin: LetterOrigin,
  atMs: number,
): readonly OutRecord[] {
  const states = stateRecordsOf(raw, outcome, origin, atMs);
  // mistake: small letter blamed
  // mistake: refused in silence
  return outcome.kind === "dead-lettered"
    ? [letterOf(raw, outcome.failure, origin, atMs), ...states]
    : states;
}

/** As an outbox takes them: the same of one redrive is one, that of the next redrive is another. */
export const outboxStates = (
  raw: RawRecord,
  outcome: Outcome,
  origin: LetterOrigin,
  atMs: number,
): readonly PendingLetter[] =>
  stateRecordsOf(raw, outcome, origin, atMs).map((record) => ({
    ...record,
    id: `${letterIdOf(origin, raw)}/${String(raw.redriven?.offset ?? 0n)}`,
  }));
