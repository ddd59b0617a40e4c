// The outcomes of a task's records since the last checkpoint: what they add to the ledger, and the letters that they make.
// With them goes all else that a checkpoint takes of a task.
import type { StagedTask } from "../../../checkpoint/commit.ts";
import {
  countBehind,
  countDeadResult,
  countEvicted,
  countLateResult,
  countOutcome,
  emptyLedger,
  type LedgerCounts,
} from "../../../core/ledger.ts";
import type { Failure, Outcome } from "../../../core/outcome.ts";
import { placeOf, type OutRecord, type RawRecord, type TopicName } from "../../../core/record.ts";
import type { TaskInputs } from "../../../core/task-inputs.ts";
import { isResult, operatorOfResults } from "../../../core/state-results.ts";
import { letterOf, type LetterOrigin } from "../../../letters/letter.ts";
import { stateRecordsOf, lettersOf } from "../../../letters/redriven.ts";
import type { BatchResult } from "../../../transform/pass.ts";
import type { Released } from "../../../transform/calls/release.ts";
import type { Fired } from "../../../transform/due.ts";
import type { BoundPart } from "../bind.ts";
import type { Breaker } from "../breaker.ts";
import type { Refusals } from "../refusals.ts";
import { resultRecord, waitingResult, type WaitingResult } from "../results.ts";
import type { TaskMark } from "../time/markers.ts";
import type { StreamStage, StreamTask } from "./stage.ts";
import type { SealedState } from "./state.ts";

/** A stage that a checkpoint took: what to write, and what to publish when it is written. */
export interface TaskCheckpoint extends StagedTask {
  /** Watermarks for the parts behind. */
  readonly marks: readonly TaskMark[];
  readonly task: StreamTask;
  readonly work: StreamStage;
  readonly state: SealedState | null;
  readonly records: number;
  /** Outputs from this index on are results that waited for the checkpoint. */
  readonly deferredFrom: number;
  /** Records that changed anything: those that were read, and those that had waited in state. */
  readonly units: number;
  /** The record, where it is a single one. */
  readonly only: RawRecord | null;
  readonly refusals: Refusals;
  /** The counts that this checkpoint adds to the ledger. */
  readonly delta: LedgerCounts;
}

/** The results of records, or of entries that were due. */
export type Made = Pick<BatchResult, "outputs" | "deferred" | "behind" | "lateResults" | "evicted">;

export interface TallyOptions {
  readonly bound: BoundPart;
  /** The ledgers of the task's inputs. */
  readonly progress: TaskInputs;
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  now(): number;
}

/** The names of operators in front of which records may be behind. */
export const timedOperators = ({ part, program }: BoundPart): string[] =>
  part.nodes.flatMap(({ name }, at) => (program.operators[at]?.usesTime === true ? [name] : []));

export class Tally {
  readonly #options: TallyOptions;
  #letters: OutRecord[] = [];
  #delta: LedgerCounts = emptyLedger();

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  count(raw: RawRecord, outcome: Outcome): void {
    const { letters, bound, progress, now } = this.#options;
    countOutcome(this.#delta, outcome);
    countOutcome(progress.ledger(placeOf(raw).topic), outcome);
    if (outcome.kind !== "dead-lettered" && raw.redriven === undefined) return;
    const origin = bound.refusals.letterOrigin(raw, letters);
    this.#letters.push(...lettersOf(raw, outcome, origin, now()));
  }

  /** Queued records had counted as emitted: some are given up, and letters of those that went on are closed now. */
  release({ at, givenUp, wentOn }: Pick<Released, "at" | "givenUp" | "wentOn">): void {
    const { letters, now } = this.#options;
    for (const { record, outcome } of givenUp) {
      const { value } = record;
      this.giveUp({ at, record, value, key: String(record.raw.offset) }, outcome);
    }
    for (const { record, outcome } of wentOn)
      this.#letters.push(...stateRecordsOf(record.raw, outcome, letters, now()));
  }

  /** What waited for the checkpoint, or for a call, fails: of a record it had counted as emitted. */
  giveUp(waiting: WaitingResult, outcome: Outcome): void {
    const { breaker, bound } = this.#options;
    const { raw } = waiting.record;
    if (!isResult(raw) || raw.redriven !== undefined) this.#recount(raw, outcome);
    else if (outcome.kind === "dead-lettered")
      this.#failResult(waitingResult(bound, waiting), outcome.failure);
    breaker.late();
  }

  /**
   * Records behind the watermark of an operator; null: they came from no input, but of state. Results that were late for an
   * operator behind, and what an operator has let go ahead of its time, belong to no record.
   */
  countBeside({ behind, lateResults, evicted }: Made, topic: TopicName | null): void {
    const { bound, progress } = this.#options;
    const nameOf = (at: number): string => bound.part.nodes[at]?.name ?? "";
    const own = topic === null ? progress.ownLedger : progress.ledger(topic);
    for (const [at, records] of behind)
      for (const ledger of [this.#delta, own]) countBehind(ledger, nameOf(at), records);
    for (const ledger of [this.#delta, progress.ownLedger]) {
      for (const reason of lateResults) countLateResult(ledger, reason);
      for (const at of evicted) countEvicted(ledger, nameOf(at));
    }
  }

  #recount(raw: RawRecord, outcome: Outcome): void {
    const { progress } = this.#options;
    for (const ledger of [this.#delta, progress.ledger(placeOf(raw).topic)]) {
      ledger.consumed--;
      ledger.emitted--;
    }
    this.count(raw, outcome);
  }

  /** Of entries that were due: they belong to no record, so they are letters and no outcome of the ledger. */
  failResults({ at, failed }: Pick<Fired, "at" | "failed">, partition: number): void {
    const { bound } = this.#options;
    for (const one of failed)
      this.#failResult(resultRecord(bound, { ...one, at, partition }), one.failure);
  }

  #failResult(raw: RawRecord, failure: Failure): void {
    const { letters, bound, progress, now } = this.#options;
    const operator = operatorOfResults(raw.topic) ?? "";
    for (const ledger of [this.#delta, progress.ownLedger]) countDeadResult(ledger, operator);
    const origin = bound.refusals.letterOrigin(raw, letters);
    const own = { ...failure, class: "result", originMs: raw.timestamp } as const;
    // mistake: result given up in silence
    this.#letters.push(letterOf(raw, own, origin, now()));
  }

  /** For a checkpoint: with notes of structures that its transaction writes for the first time. */
  take(): { readonly letters: readonly OutRecord[]; readonly delta: LedgerCounts } {
    const notes = this.#options.bound.shapes?.unnoted.values() ?? [];
    const taken = { letters: [...this.#letters, ...notes], delta: this.#delta };
    [this.#letters, this.#delta] = [[], emptyLedger()];
    return taken;
  }
}
