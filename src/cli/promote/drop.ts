// `millrace reprocess drop`: what a finished run has left goes for good.
import type { Plan } from "../../engine/core/plan.ts";
import { dropLeftovers, leftoversOf } from "../../engine/reprocess/promote/drop.ts";
import { exitCodes } from "../io.ts";
import { writingRun, type AddVerb, type Reprocessing } from "../reprocess/connection.ts";
import { exitUnlessYes, type ChangeOptions } from "../option-values.ts";
import { runNamed } from "./ports.ts";

const HELP = `
Topics, tables and copies of state of the run, except what the live pipeline stands on. Of a promoted run also the table
that was put aside and the stores of before: it cannot be undone then. The run stays in the list.

Exit codes: 0 dropped, or shown by --dry-run · 2 usage, or --yes is missing · 3 no such pipeline or run · 5 the run is at
work · 69 a server is away.

Examples:
  $ npx millrace reprocess drop customer-orders --run 3 --dry-run
  $ npx millrace reprocess drop customer-orders --run 3 --yes`;

interface DropOptions extends ChangeOptions {
  readonly run: string;
}

export const dropVerb: AddVerb = (group, within) => {
  group
    .command("drop")
    .argument("<pipeline>")
    .requiredOption("--run <n>", "the run")
    .option("--dry-run", "show what would go; changes nothing")
    .option("--yes", "do it without asking")
    .option("--json", "print one JSON object")
    .description("remove what a finished run has left")
    .addHelpText("after", HELP)
    .action((name: string, options: DropOptions) => within(name, writingRun(drop, options)));
};

async function drop(at: Reprocessing, plan: Plan, options: DropOptions): Promise<number> {
  const { io, ports } = at;
  const left = await leftoversOf(await runNamed(at, plan, options.run), plan, ports);
  const tables = left.tables.map(({ schema, name }) => `${schema}.${name}`);
  const { topics } = left;
  if (options.json === true) io.out(JSON.stringify({ tables, topics }));
  else for (const name of [...tables, ...topics]) io.out(name);
  const refusal = await exitUnlessYes(io, options, "dropped");
  if (refusal !== null) return refusal;
  await dropLeftovers(left, ports);
  return exitCodes.ok;
}
