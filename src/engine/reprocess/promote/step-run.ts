// Works through the steps of a promotion or of its undo: each step is in the run's row before it is done, so whoever comes
// after a crash begins with it again. A failure before the tables have changed places gives the live pipeline back as it
// was: the gate opens, and the run goes on behind live, or is promoted as it was before an undo.
import { messageOf } from "../../core/errors.ts";
import { withReaders } from "../../core/pieces.ts";
import type { Plan } from "../../core/plan.ts";
import { reopen, type Barrier } from "../barrier/barrier.ts";
import type { ProgressMove } from "../swap/turns.ts";
import type { TableTurn } from "../swap/swap.ts";
import { changeRun, type RunChanges } from "../words/rows.ts";
import { FOLLOWING, runStateError, type RangePlace, type RunRow } from "../words/run.ts";
import {
  canBeGivenUp,
  detailOf,
  isUndoStep,
  type LivePosition,
  type PromoteDetail,
} from "../words/steps.ts";
import type { PromotePorts } from "./ports.ts";

export interface Promoting {
  /** As declared. */
  readonly plan: Plan;
  /** The longest time that live, the run's workers or readers of the tables may delay a step. */
  readonly limitMs: number;
}

/** By step: its work, which returns the next step with what changes beside it; null: all is done. */
export type StepWork<Step extends string> = Readonly<
  Record<
    Step,
    (at: StepRun) => Promise<{ readonly step: Step; readonly changes?: RunChanges } | null>
  >
>;

export class StepRun {
  row: RunRow;
  readonly plan: Plan;
  readonly ports: PromotePorts;
  readonly barrier: Barrier;

  constructor(row: RunRow, { plan, limitMs }: Promoting, ports: PromotePorts) {
    this.row = row;
    this.plan = plan;
    this.ports = ports;
    this.barrier = { plan, row, ports, limitMs, why: "promote" };
  }

  /** Returns the row at its end. */
  async work<Step extends string>(
    work: StepWork<Step>,
    end: "promoted" | "undone",
  ): Promise<RunRow> {
    try {
      for (;;) {
        const next = await this.#stepOf(work)(this);
        if (next === null) break;
        await this.#record({ ...next.changes, step: next.step });
      }
      await this.#record({ state: end, step: end, error: null });
      return this.row;
    } catch (error) {
      if (!canBeGivenUp(this.row.step)) throw error;
      const { row, ports } = this;
      ports.say(`given up at ${String(row.step)}: ${messageOf(error)}`);
      await giveBack(row, { plan: this.plan, limitMs: this.barrier.limitMs }, ports).catch(
        (again: unknown) => ports.say(`live is not given back yet: ${messageOf(again)}`),
      );
      throw error;
    }
  }

  get detail(): PromoteDetail {
    const detail = detailOf(this.row);
    if (detail === null) throw runStateError(this.row, "has gone on meanwhile");
    return detail;
  }

  get positions(): readonly LivePosition[] {
    return withReaders(this.plan, this.detail.positions ?? []);
  }

  get places(): readonly RangePlace[] {
    return withReaders(this.plan, this.row.range.places);
  }

  /** Decides: tables, progress of their tasks and the row's step change together. */
  async swap(
    turns: readonly TableTurn[],
    to: string,
    moveOf: (at: LivePosition) => Omit<ProgressMove, "task">,
  ): Promise<void> {
    const { row, ports, plan } = this;
    const moves = this.positions
      .filter(({ ledger }) => ledger !== null)
      .map((at): ProgressMove => {
        const { part, topic, partition } = at;
        return { task: { pipeline: plan.pipeline, part, topic, partition }, ...moveOf(at) };
      });
    await ports.tables.swap({ row, turns, moves, from: row.step ?? "", to });
    this.row = (await ports.runs.find(row.pipeline, row.run)) ?? row;
  }

  #stepOf<Step extends string>(work: StepWork<Step>): StepWork<Step>[Step] {
    const { step } = this.row;
    if (step !== null && step in work) return work[step as Step];
    throw runStateError(this.row, "has gone on meanwhile");
  }

  async #record(changes: RunChanges): Promise<void> {
    this.row = await changeRun(this.ports.runs, this.row, changes, ["promoting"]);
  }
}

/** Safe to repeat. Throws MILL_RUN_STATE when it is too late. */
export async function giveBack(
  found: RunRow,
  { plan, limitMs }: Promoting,
  ports: PromotePorts,
): Promise<RunRow> {
  // The swap may have been decided by a commit whose answer was lost.
  const row = (await ports.runs.find(found.pipeline, found.run)) ?? found;
  const { state, step } = row;
  if (state !== "promoting" || !canBeGivenUp(step))
    throw runStateError(row, `is ${state} at ${step ?? "no step"}: what is swapped goes forward`);
  await reopen({ plan, row, ports, limitMs, why: "promote" }, false);
  const back = isUndoStep(step)
    ? ({ state: "promoted", step: "promoted" } as const)
    : ({ state: "running", step: FOLLOWING } as const);
  return (await ports.runs.update(row, back, ["promoting"])) ?? row;
}
