// Gives the live pipeline back as it was, while its tables have not changed places: the gate opens, and the run goes on
// behind live, or is promoted as it was before an undo.
import { MillraceError } from "../../core/errors.ts";
import { FOLLOWING, type RunRow } from "../words/run.ts";
import { reopen } from "../barrier/barrier.ts";
import type { PromotePorts } from "./ports.ts";
import type { Promoting } from "./promotion.ts";
import { canBeGivenUp, isUndoStep } from "../words/steps.ts";

/** Safe to repeat. Throws MILL_RUN_STATE when it is too late. */
export async function giveBack(
  found: RunRow,
  { plan, limitMs }: Promoting,
  ports: PromotePorts,
): Promise<RunRow> {
  // The swap may have been decided by a commit whose answer was lost.
  const row = (await ports.runs.find(found.pipeline, found.run)) ?? found;
  const name = `run ${String(row.run)} of ${row.pipeline}`;
  if (row.state !== "promoting" || !canBeGivenUp(row.step)) {
    const detail = `${name} is ${row.state} at ${row.step ?? "no step"}: what is swapped goes forward`;
    throw new MillraceError("MILL_RUN_STATE", detail);
  }
  await reopen({ plan, row, ports, limitMs, why: "promote" }, false);
  const back = isUndoStep(row.step)
    ? ({ state: "promoted", step: "promoted" } as const)
    : ({ state: "running", step: FOLLOWING } as const);
  return (await ports.runs.update(row, back, ["promoting"])) ?? row;
}
