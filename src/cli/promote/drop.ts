// `millrace reprocess drop`: what a finished run has left goes for good.
import type { Plan } from "../../engine/core/plan.ts";
import { dropLeftovers, leftoversOf } from "../../engine/reprocess/promote/drop.ts";
import type { PlansOf } from "../connection.ts";
import { exitCodes, type Register } from "../io.ts";
import { planOf, reprocessing, type ConnectReprocess } from "../reprocess/connection.ts";
import type { Reprocessing } from "../reprocess/connection.ts";
import { runNamed } from "./ports.ts";

const HELP = `
Topics, tables and copies of state of the run, except what the live pipeline stands on. Of a promoted run also the table
that was put aside and the stores of before: it cannot be undone then. The run stays in the list.

Exit codes: 0 dropped, or shown by --dry-run · 2 usage, or --yes is missing · 3 no such pipeline or run · 5 the run is at
work · 69 a server is away.

Examples:
  $ npx millrace reprocess drop customer-orders --run 3 --dry-run
  $ npx millrace reprocess drop customer-orders --run 3 --yes`;

interface DropOptions {
  readonly run: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const dropVerb =
  (connect: ConnectReprocess, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("drop")
      .argument("<pipeline>")
      .requiredOption("--run <n>", "the run")
      .option("--dry-run", "show what would go; changes nothing")
      .option("--yes", "do it")
      .option("--json", "print one JSON object")
      .description("remove what a finished run has left")
      .addHelpText("after", HELP)
      .action((name: string, options: DropOptions) =>
        run((io) =>
          reprocessing(connect, plans, { io, work: (at) => drop(at, planOf(at, name), options) }),
        ),
      );
  };

async function drop(at: Reprocessing, plan: Plan, options: DropOptions): Promise<number> {
  const { io, ports } = at;
  const left = await leftoversOf(await runNamed(at, plan, options.run), plan, ports);
  const tables = left.tables.map(({ schema, name }) => `${schema}.${name}`);
  const { topics } = left;
  if (options.json === true) io.out(JSON.stringify({ tables, topics }));
  else for (const name of [...tables, ...topics]) io.out(name);
  if (options.dryRun === true) return exitCodes.ok;
  if (options.yes !== true) {
    io.err("Nothing was dropped. Add --yes to do it.");
    return exitCodes.usage;
  }
  await dropLeftovers(left, ports);
  return exitCodes.ok;
}
