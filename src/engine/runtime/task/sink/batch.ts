// The batch of a sink task since its last commit: rows, letters, and the outcome of each record so far.
import { countOutcome, emptyLedger, type LedgerCounts } from "../../../core/ledger.ts";
import type { Failure, Outcome, Stage } from "../../../core/outcome.ts";
import type { Log, PendingLetter, SinkResult, SinkTaskId } from "../../../core/ports.ts";
import type { RawRecord } from "../../../core/record.ts";
import { emptyStage } from "../bind.ts";

/** Records taken since the last commit, and what became of each so far. */
export interface SinkBatch {
  readonly stage: Stage;
  readonly raws: RawRecord[];
  readonly outcomes: Outcome[];
  readonly letters: PendingLetter[];
  nextOffset: bigint;
}

export const isLetter = ({ kind }: Outcome): boolean => kind === "dead-lettered";

export const nothing: ReadonlySet<number> = new Set();

/** Thrown out of a commit, which then changes nothing: the record at `index` is a letter too many. */
export class OverTheLimit extends Error {
  readonly index: number;

  constructor(index: number) {
    super("a letter too many");
    this.index = index;
  }
}

/** The records in front of one. */
export function upTo({ stage, ...batch }: SinkBatch, index: number, nextOffset: bigint): SinkBatch {
  const outcomes = batch.outcomes.slice(0, index);
  return {
    stage: { ...stage, rows: stage.rows.filter((row) => row.index < index) },
    raws: batch.raws.slice(0, index),
    outcomes,
    letters: batch.letters.slice(0, outcomes.filter(isLetter).length),
    nextOffset,
  };
}

export const newBatch = (nextOffset: bigint): SinkBatch => ({
  stage: emptyStage(),
  raws: [],
  outcomes: [],
  letters: [],
  nextOffset,
});

/** Whether its records came back by the redrive topic: a task reads from one topic only. */
export const isRedriven = ({ raws }: SinkBatch): boolean => raws[0]?.redriven !== undefined;

/** Whether its commit has put something into the outbox. */
export const hasPendingLetters = (batch: SinkBatch, delta: LedgerCounts): boolean =>
  delta.consumed > 0 && (Object.keys(delta["dead-lettered"]).length > 0 || isRedriven(batch));

/** Looks at outcomes, and says once that a tombstone left its row: whoever deletes a key expects the row to go. */
export function tombstoneWarning(log: Log, task: SinkTaskId): (outcome: Outcome) => void {
  let hasWarned = false;
  return ({ kind }) => {
    if (kind !== "tombstone" || hasWarned) return;
    hasWarned = true;
    log.warn(
      { ...task },
      "a deleted key keeps its row: tables do not delete yet (ledger: tombstone)",
    );
  };
}

/** A row that the database does not take. */
export const refusalOf = (table: string, code: string, message: string): Failure =>
  ({ class: "sink", stage: "sink", step: table, rule: null, code, message }) as const;

/** The outcome of each record: what the database says of its rows goes before what the transform said. */
export function endsOf(batch: SinkBatch, result: SinkResult, table: string): Outcome[] {
  const failure = refusalOf(table, "refused", "");
  return batch.outcomes.map((outcome, index): Outcome => {
    if (result.refused.has(index)) return { kind: "dead-lettered", failure };
    if (outcome.kind !== "emitted" || result.written.has(index)) return outcome;
    // mistake: superseded is emitted
    if (result.stale.has(index)) return { kind: "superseded" };
    // A table that drops a row by a trigger is the last step that has dropped the record.
    return result.suppressed?.has(index) === true ? { kind: "filtered", by: table } : outcome;
  });
}

export function ledgerOfBatch(batch: SinkBatch, result: SinkResult, table: string): LedgerCounts {
  const delta = emptyLedger();
  for (const outcome of endsOf(batch, result, table)) countOutcome(delta, outcome);
  return delta;
}
