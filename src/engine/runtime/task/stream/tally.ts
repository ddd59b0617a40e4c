// The outcomes of a task's records since the last checkpoint: what they add to the ledger, and the letters that they make.
// With them goes all else that a checkpoint takes of a task.
import type { StagedTask } from "../../../checkpoint/commit.ts";
import { countOutcome, emptyLedger, type LedgerCounts } from "../../../core/ledger.ts";
import type { Outcome } from "../../../core/outcome.ts";
import { placeOf, type OutRecord, type RawRecord } from "../../../core/record.ts";
import type { TaskInputs } from "../../../core/task-inputs.ts";
import type { LetterOrigin } from "../../../letters/letter.ts";
import { stateRecordsOf, lettersOf } from "../../../letters/redriven.ts";
import type { Released } from "../../../transform/calls/release.ts";
import type { BoundPart } from "../bind.ts";
import type { Breaker } from "../breaker.ts";
import type { Refusals } from "../refusals.ts";
import type { TaskMark } from "./markers.ts";
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

export interface TallyOptions {
  readonly bound: BoundPart;
  /** The ledgers of the task's inputs. */
  readonly progress: TaskInputs;
  readonly letters: LetterOrigin;
  readonly breaker: Breaker;
  now(): number;
}

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

  /** It had counted as emitted. */
  recount(raw: RawRecord, outcome: Outcome): void {
    const { progress, breaker } = this.#options;
    for (const ledger of [this.#delta, progress.ledger(placeOf(raw).topic)]) {
      ledger.consumed--;
      ledger.emitted--;
    }
    this.count(raw, outcome);
    breaker.late();
  }

  /** Queued records had counted as emitted: some are given up, and letters of those that went on are closed now. */
  release({ givenUp, wentOn }: Pick<Released, "givenUp" | "wentOn">): void {
    const { letters, now } = this.#options;
    for (const { record, outcome } of givenUp) this.recount(record.raw, outcome);
    for (const { record, outcome } of wentOn)
      this.#letters.push(...stateRecordsOf(record.raw, outcome, letters, now()));
  }

  /** For a checkpoint: with notes of structures that its transaction writes for the first time. */
  take(): { readonly letters: readonly OutRecord[]; readonly delta: LedgerCounts } {
    const notes = this.#options.bound.shapes?.unnoted.values() ?? [];
    const taken = { letters: [...this.#letters, ...notes], delta: this.#delta };
    [this.#letters, this.#delta] = [[], emptyLedger()];
    return taken;
  }
}
