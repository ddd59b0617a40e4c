// `millrace run <pipeline...>`: the live processor, in one process or several.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkTables } from "../engine/provision/tables/tables.ts";
import { live } from "../engine/runtime/live.ts";
import { pipelines } from "../pipelines/index.ts";
import { readStackEnv } from "../stack/stack.ts";
import type { Register } from "./io.ts";
import { shareOption, wrongOption } from "./option-values.ts";

const entry = fileURLToPath(new URL("../main.ts", import.meta.url));

const EXIT_CODES = `
Exit codes: 0 drained after SIGTERM or SIGINT, or read to the end · 1 a worker ended by itself · 3 no such pipeline ·
5 workers of another release are at work, nothing was started · 78 a problem of configuration, nothing was started · 130 a second signal.

--until-end reads each topic of others to the end that it has at the start, works off everything behind (repartition topics, topics
of tables, keys that queue for a call, letters that come back), commits and exits 0. Dead letters do not stop it. A halted pipeline
or a stopped task ends it with the code of its error: 1, 5 when an operator has shut the pipeline, 78 for a topic or a table.

Examples:
  $ npx millrace run customer-orders
  $ npx millrace run customer-orders retail --workers 2
  $ npx millrace run customer-orders --no-breaker
  $ npx millrace run customer-orders --until-end`;

export const run: Register = (program, runCommand) => {
  program
    .command("run")
    .argument("[pipeline...]", "pipelines to run; all when none is named")
    .option("--workers <n>", "processes; each is a member of every group", "1")
    .option("--no-breaker", "go on however many records become dead letters")
    .option("--halt-above <share>", "the share of dead letters that halts a pipeline, such as 20%")
    .option("--until-end", "read to the ends as they are now, work off what is behind, and exit")
    .description("run pipelines until SIGTERM: drain, commit, leave the groups")
    .addHelpText("after", EXIT_CODES)
    .action((names: string[], options: RunVerbOptions) =>
      runCommand(async (io) => {
        const given = { ...io.env, ...breakerOf(options) };
        const env = readStackEnv(join(io.cwd, ".millrace"), given);
        return live({
          pipelines,
          env,
          names,
          workers: countOf(options.workers),
          entry,
          checkTables,
          untilEnd: options.untilEnd === true,
        });
      }),
    );
};

interface RunVerbOptions {
  readonly workers: string;
  readonly breaker: boolean;
  readonly haltAbove?: string;
  readonly untilEnd?: boolean;
}

/** For this process and its workers alone. */
function breakerOf({ breaker, haltAbove }: RunVerbOptions): { readonly MILLRACE_BREAKER?: string } {
  if (!breaker) return { MILLRACE_BREAKER: "off" };
  const share = shareOption("--halt-above", haltAbove);
  return share === null ? {} : { MILLRACE_BREAKER: `${String(share * 100)}%` };
}

function countOf(text: string): number {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 1 && n <= 64) return n;
  throw wrongOption("--workers", "1 to 64", text);
}
