// The letters' side of an outcome: a letter for a record that failed, and, for one from the redrive topic, the new state of
// the letter that it was. A stream task commits both with the record's outputs, a sink writes both into its outbox.
import type { DecodedRecord, Outcome } from "../core/outcome.ts";
import type { PendingLetter } from "../core/ports.ts";
import type { OutRecord, RawRecord } from "../core/record.ts";
import { stateRecord } from "../core/redrive.ts";
import { isParked, letterIdOf, letterOf, type LetterOrigin } from "./letter.ts";

/** The outcome as the ledger names it, or the code of a failure. */
export function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case "filtered":
      return `filtered by ${outcome.by}`;
    case "dead-lettered":
      return outcome.failure.code;
    case "halted":
      return outcome.error.code;
    case "emitted":
    case "superseded":
    case "late":
    case "deduplicated":
    case "null-key":
    case "tombstone":
      return outcome.kind;
  }
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
  const isOpen = outcome.kind === "dead-lettered";
  const state = isQueued(outcome)
    ? { ...known, state: "redriven" as const, queued: true as const }
    : {
        ...known,
        state: isOpen ? ("open" as const) : ("resolved" as const),
        ...(isOpen && isParked(raw) ? { parked: true } : {}),
      };
  return [stateRecord(origin.states, letterIdOf(origin, raw), state)];
}

const isQueued = (outcome: Outcome): boolean =>
  outcome.kind === "emitted" && outcome.isQueued === true;

/** The new states of letters whose records were queued when they had come back. */
export const statesOfEnded = (
  ended: readonly { readonly record: DecodedRecord; readonly outcome: Outcome }[],
  origin: LetterOrigin,
  atMs: number,
): readonly OutRecord[] =>
  ended.flatMap(({ record, outcome }) => stateRecordsOf(record.raw, outcome, origin, atMs));

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
