// Records that came behind the time of an operator (W4), live and in a run. Rows are the same for certain only where there are none: else
// it may depend on the moment at which such a record came whether its window still took it.
import type { Plan } from "../../core/plan.ts";
import {
  readProgress,
  readRedriveProgress,
  type ProgressPorts,
  type TaskProgress,
} from "../../core/progress.ts";
import { ledgerTotals, sumLedgers } from "../../core/ledger.ts";
import { shadowOfRun } from "../run/prepare.ts";
import type { RunRow } from "../words/run.ts";

/** Since each has begun: once a record and operator. */
export interface BehindCounts {
  readonly live: number;
  readonly run: number;
}

export async function behindOf(
  plan: Plan,
  row: RunRow,
  ports: ProgressPorts,
): Promise<BehindCounts> {
  const shadow = shadowOfRun(plan, row);
  const [live, run] = [
    [await readProgress(plan, ports), await readRedriveProgress(plan, ports)],
    [await readProgress(shadow, ports)],
  ].map((progress) => countOf(progress.flat()));
  return { live: live ?? 0, run: run ?? 0 };
}

const countOf = (progress: readonly TaskProgress[]): number =>
  ledgerTotals(sumLedgers(progress.flatMap(({ ledger }) => ledger ?? [])))["behind"] ?? 0;
