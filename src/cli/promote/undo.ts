// `millrace reprocess undo`: what a promotion has put aside comes back.
import type { Plan } from "../../engine/core/plan.ts";
import { isUndoStep } from "../../engine/reprocess/words/steps.ts";
import { retiredTable } from "../../engine/reprocess/swap/turns.ts";
import type { RunRow } from "../../engine/reprocess/words/run.ts";
import { beginUndo, checkUndoable, undo } from "../../engine/reprocess/promote/undo.ts";
import { exitCodes } from "../io.ts";
import { exitUnlessYes } from "../option-values.ts";
import { writingRun, type AddVerb, type Reprocessing } from "../reprocess/connection.ts";
import { rowJson } from "../reprocess/lines.ts";
import { onRun, type StepOptions } from "./ports.ts";

const HELP = `
The table that was put aside, <table>_old_<run>, takes its name again, live is put on its old stores, and reads on from
where it was stopped then: what came since is read again by the code that runs then, and written to output topics again.
Possible as long as the old table and the changelogs of the old stores are there. Killed: run it again, it goes on.

Exit codes: 0 undone, or shown by --dry-run · 2 usage, or --yes is missing · 3 no such pipeline or run · 5 something
forbids it, which the message names · 69 a server is away, or something takes too long.

Examples:
  $ npx millrace reprocess undo customer-orders --dry-run
  $ npx millrace reprocess undo customer-orders --run 7 --hold --yes`;

export const undoVerb: AddVerb = (group, within) => {
  group
    .command("undo")
    .argument("<pipeline>")
    .option("--run <n>", "this run (default: the newest)")
    .option("--hold", "leave live stopped at the end, until npx millrace resume")
    .option("--patience <s>", "most seconds for one step (default: 120)")
    .option("--dry-run", "show what would come back, and what forbids it; changes nothing")
    .option("--yes", "do it without asking")
    .option("--json", "print one JSON object at the end")
    .description("take a promotion back")
    .addHelpText("after", HELP)
    .action((name: string, options: StepOptions) => within(name, writingRun(play, options)));
};

const play = (at: Reprocessing, plan: Plan, options: StepOptions): Promise<number> =>
  onRun(at, plan, options, async (row, limitMs, ports) => {
    const isUnderWay = row.state === "promoting" && isUndoStep(row.step);
    if (!isUnderWay && (options.dryRun === true || options.yes !== true)) {
      await checkUndoable(row, plan, ports);
      const refusal = await show(at, plan, row, options);
      if (refusal !== null) return refusal;
    }
    const hold = options.hold === true;
    const begun = isUnderWay ? row : await beginUndo(row, { plan, hold }, ports);
    const undone = await undo(begun, { plan, limitMs }, ports);
    const text = `run ${String(undone.run)} of ${undone.pipeline} is ${undone.state}`;
    at.io.out(options.json === true ? rowJson(undone) : text);
    return exitCodes.ok;
  });

/** The exit code where it was only to be shown, or was not confirmed. */
function show(
  { io }: Reprocessing,
  plan: Plan,
  row: RunRow,
  options: StepOptions,
): Promise<number | null> {
  const turns = plan.tables.map(({ name }) => ({ table: name, from: retiredTable(name, row.run) }));
  if (options.json === true) io.out(JSON.stringify(turns));
  else for (const { table, from } of turns) io.out(`${from} would be ${table} again`);
  return exitUnlessYes(io, options, "changed");
}
