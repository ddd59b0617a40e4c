// Whether ledgers balance, as anyone can check it from outside. Two things are compared for every task: the records it
// consumed with the sum of their outcomes, and with the offsets it has passed since it began (control records and gaps
// take offsets too, so there it may only be fewer).
import { imbalanceOf, sumLedgers, type LedgerCounts } from "../core/ledger.ts";
import type { Part, Plan } from "../core/plan.ts";
import { readProgress, readRedriveProgress, type TaskProgress } from "../core/progress.ts";
import { readNotes, startNote, type Notes } from "../notes/notes.ts";
import type { OperatePorts } from "./choice.ts";

export interface PartLedger {
  readonly pipeline: string;
  readonly part: string;
  readonly ledger: LedgerCounts;
  /** Tasks that have run; those that have not are no matter. */
  readonly tasks: number;
  /** consumed minus its outcomes, over the tasks by amount: 0 when every one of them balances. */
  readonly imbalance: number;
  /** Tasks that consumed more records than there are offsets behind them. */
  readonly overrun: number;
  /** Tasks whose progress was set by something that keeps no ledger. */
  readonly unknown: number;
}

export const isBalanced = ({ imbalance, overrun, unknown }: PartLedger): boolean =>
  imbalance === 0 && overrun === 0 && unknown === 0;

/** Returns one ledger per part, in the order of the plans. */
export async function checkLedgers(
  plans: readonly Plan[],
  ports: OperatePorts,
): Promise<readonly PartLedger[]> {
  const checked: PartLedger[] = [];
  for (const plan of plans) {
    const back = await readRedriveProgress(plan, ports);
    const progress = [...(await readProgress(plan, ports)), ...back.filter(hasConsumed)];
    const notes = await readNotes(ports, plan.meta);
    for (const part of plan.parts) {
      const tasks = progress.filter((task) => task.part === part.name);
      checked.push(ledgerOf(part, tasks, notes));
    }
  }
  return checked;
}

/** A redriven record is consumed once more, and its outcome counts; where none was, there is nothing to check. */
const hasConsumed = ({ nextOffset, ledger }: TaskProgress): boolean =>
  nextOffset !== null && ledger?.consumed !== 0;

function ledgerOf(part: Part, progress: readonly TaskProgress[], notes: Notes): PartLedger {
  const begun = progress.filter((task) => task.nextOffset !== null);
  const ledgers = begun.flatMap(({ ledger }) => ledger ?? []);
  const overrun = begun.filter((task) => hasOverrun(part, task, notes));
  return {
    pipeline: progress[0]?.pipeline ?? "",
    part: part.name,
    ledger: sumLedgers(ledgers),
    tasks: begun.length,
    // By amount: two tasks that are wrong in opposite ways are two mistakes.
    imbalance: ledgers.reduce((sum, ledger) => sum + Math.abs(imbalanceOf(ledger)), 0),
    overrun: overrun.length,
    unknown: begun.length - ledgers.length,
  };
}

function hasOverrun({ group }: Part, task: TaskProgress, notes: Notes): boolean {
  if (task.nextOffset === null || task.ledger === null) return false;
  const start = startNote(notes, group, task)?.nextOffset ?? 0n;
  return BigInt(task.ledger.consumed) > task.nextOffset - start;
}
