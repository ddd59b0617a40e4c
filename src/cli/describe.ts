// `millrace describe`: a pipeline's parts, operators, topics and tables; connects to nothing unless it is asked for what runs.
import type { Plan } from "../engine/core/plan.ts";
import { planNamed } from "../engine/operate/choice.ts";
import { runningPlan } from "../engine/operate/gate/running-plan.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { operating, type ConnectOperate } from "./operating.ts";
import { planData, planLines, planMermaid } from "./plan-text.ts";

interface DescribeOptions {
  readonly json?: boolean;
  readonly mermaid?: boolean;
  readonly live?: boolean;
}

export const describeVerb =
  (connect: ConnectOperate, plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("describe")
      .argument("<pipeline>", "the name of a pipeline")
      .option("--json", "print one JSON object")
      .option("--mermaid", "print a Mermaid flow chart")
      .option("--live", "on the stores that its workers use now: asks Kafka")
      .description("show a pipeline's parts, operators, topics and tables")
      .action((name: string, options: DescribeOptions) =>
        run((io) =>
          options.live === true
            ? operating(connect, io, async (ports, { namespace }) => {
                const plan = planNamed(plans(namespace), name);
                return show(io, await runningPlan(plan, ports), options);
              })
            : Promise.resolve(show(io, declared(io, plans, name), options)),
        ),
      );
  };

const declared = (io: CliIo, plans: PlansOf, name: string): Plan =>
  planNamed(plans(io.env["MILLRACE_NAMESPACE"] ?? ""), name);

function show(io: CliIo, plan: Plan, { json, mermaid }: DescribeOptions): number {
  if (json === true) io.out(JSON.stringify(planData(plan)));
  else for (const line of mermaid === true ? planMermaid(plan) : planLines(plan)) io.out(line);
  return exitCodes.ok;
}
