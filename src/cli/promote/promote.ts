// `millrace reprocess promote`: a run takes the place of the live pipeline, at the very record where live is stopped.
import type { Plan } from "../../engine/core/plan.ts";
import { giveBack } from "../../engine/reprocess/promote/step-run.ts";
import { promote } from "../../engine/reprocess/promote/promotion.ts";
import { beginPromotion, checkPromotable } from "../../engine/reprocess/promote/readiness.ts";
import { isUndoStep } from "../../engine/reprocess/words/steps.ts";
import { MillraceError } from "../../engine/core/errors.ts";
import type { RunRow } from "../../engine/reprocess/words/run.ts";
import type { TableTurn } from "../../engine/reprocess/swap/swap.ts";
import { turnsOf } from "../../engine/reprocess/swap/turns.ts";
import { exitCodes } from "../io.ts";
import { exitUnlessYes } from "../option-values.ts";
import { writingRun, type AddVerb, type Reprocessing } from "../reprocess/connection.ts";
import { rowJson } from "../reprocess/lines.ts";
import { onRun, type StepOptions } from "./ports.ts";

const HELP = `
What happens, each step written down before it is done:
  1 the run follows live until it is less than 5 s behind
  2 live stops: nothing more is taken from outside, what was taken goes through, every worker leaves its groups
  3 the run reads to exactly where live stands
  4 in one transaction of Postgres the tables change places; the old one is kept as <table>_old_<run>
  5 live is put on the stores of the run
  6 live goes on where it stood. With --hold it waits, so that you can deploy the new code: then npx millrace resume
Output topics keep what live wrote; --emit-corrections appends what differs, key by key, before 4.

Killed, or failed after 4: run it again, it goes on. Failed before 4, or --abort: live goes on as it was.

Exit codes: 0 promoted, given up by --abort, or shown by --dry-run · 2 usage, or --yes is missing · 3 no such pipeline or
run · 5 something forbids it, which the message names · 69 a server is away, or something takes too long.

Examples:
  $ npx millrace reprocess promote customer-orders --dry-run
  $ npx millrace reprocess promote customer-orders --run 7 --hold --yes
  $ npx millrace reprocess promote customer-orders --abort`;

interface PromoteOptions extends StepOptions {
  readonly emitCorrections?: boolean;
  readonly abort?: boolean;
}

const LAG_MAX_MS = 5_000;

export const promoteVerb: AddVerb = (group, within) => {
  group
    .command("promote")
    .argument("<pipeline>")
    .option("--run <n>", "this run (default: the newest)")
    .option("--hold", "leave live stopped at the end, until npx millrace resume")
    .option("--emit-corrections", "append to output topics what differs from the run's")
    .option("--abort", "give up a promotion that has not changed tables yet")
    .option("--patience <s>", "most seconds for one step (default: 120)")
    .option("--dry-run", "show what would change places, and what forbids it; changes nothing")
    .option("--yes", "do it without asking")
    .option("--json", "print one JSON object at the end")
    .description("put a run in the place of the live pipeline")
    .addHelpText("after", HELP)
    .action((name: string, options: PromoteOptions) => within(name, writingRun(play, options)));
};

const play = (at: Reprocessing, plan: Plan, options: PromoteOptions): Promise<number> =>
  onRun(at, plan, options, async (row, limitMs, ports) => {
    if (options.abort === true)
      return report(at, await giveBack(row, { plan, limitMs }, ports), options);
    if (isUndoStep(row.step)) throw new MillraceError("MILL_RUN_STATE", "an undo is under way");
    const isUnderWay = row.state === "promoting";
    if (!isUnderWay && (options.dryRun === true || options.yes !== true)) {
      await checkPromotable(row, plan, ports);
      const refusal = await show(at, turnsOf(plan, row.run), options);
      if (refusal !== null) return refusal;
    }
    const wish = {
      hold: options.hold === true,
      corrections: options.emitCorrections === true,
      lagMaxMs: LAG_MAX_MS,
    };
    const begun = isUnderWay ? row : await beginPromotion(row, { plan, wish }, ports);
    return report(at, await promote(begun, { plan, limitMs }, ports), options);
  });

/** The exit code where it was only to be shown, or was not confirmed. */
function show(
  { io }: Reprocessing,
  turns: readonly TableTurn[],
  options: PromoteOptions,
): Promise<number | null> {
  if (options.json === true) io.out(JSON.stringify(turns.map(({ declared: _, ...turn }) => turn)));
  else
    for (const { schema, live, incoming, retired } of turns)
      io.out(`${schema}.${incoming} would be ${live}, and ${live} would be ${retired}`);
  return exitUnlessYes(io, options, "changed");
}

function report({ io }: Reprocessing, row: RunRow, { json, hold }: PromoteOptions): number {
  const { run, pipeline, state } = row;
  if (json === true) io.out(rowJson(row));
  else io.out(`run ${String(run)} of ${pipeline} is ${state}`);
  if (state === "promoted" && hold === true)
    io.err(`live waits: deploy the new code, then npx millrace resume ${pipeline}`);
  if (state === "running")
    io.err(`live goes on as it was. The run: npx millrace reprocess run ${pipeline} --resume`);
  return exitCodes.ok;
}
