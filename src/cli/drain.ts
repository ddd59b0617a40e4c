// `millrace drain`: lets a pipeline work off what lies between its parts and take nothing new, before other code is deployed.
import { drain } from "../engine/operate/gate/drained.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type Register } from "./io.ts";
import { onPipeline, writing, type ConnectOperate } from "./operating.ts";
import { wholeOption } from "./option-values.ts";

const WAIT_S = 60;

const HELP = `
Workers take nothing more from topics of others and work off the pipeline's own ones. When those are empty, stop the
workers, deploy, and let the pipeline go on: npx millrace resume <pipeline>. Keys that queue for a call stay queued
(millrace_parked_keys says how many).

Exit codes: 0 worked off · 1 not in time: it goes on draining, and the command may be given again · 5 another command
holds the pipeline · 69 a server is away.

Example:
  $ npx millrace drain retail --wait 300`;

export const drainVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("drain")
      .argument("<pipeline>")
      .option("--wait <seconds>", `how long to wait; default ${String(WAIT_S)}`)
      .description("have a pipeline work off its own topics and take nothing new, before a deploy")
      .addHelpText("after", HELP)
      .action((name: string, options: { readonly wait?: string; readonly dryRun?: never }) =>
        onPipeline(connect, plans, run)(
          name,
          options,
          writing(async ({ io, plan, ports }) => {
            const { wait } = options;
            const seconds = wholeOption("--wait", wait, { min: 0, fallback: WAIT_S });
            const isDone = await drain(plan, ports, seconds * 1_000);
            io.out(`${name} takes nothing new. To go on: npx millrace resume ${name}`);
            if (isDone) io.out(`${name}: its own topics are worked off`);
            else io.err(`${name}: its own topics are not worked off yet; do its workers run?`);
            return isDone ? exitCodes.ok : exitCodes.failure;
          }),
        ),
      );
  };
