// `millrace describe`: a pipeline's parts, operators, topics and tables; connects to nothing unless it is asked for what runs.
import type { Plan } from "../engine/core/plan.ts";
import { planNamed, type OperatePorts } from "../engine/operate/choice.ts";
import { runningPlan } from "../engine/operate/gate/running-plan.ts";
import { unnotedText } from "../engine/core/flow-steps.ts";
import { unnotedSources } from "../engine/runtime/flow-notes.ts";
import { readPlanSettings } from "../engine/runtime/host/settings.ts";
import { storeChanges } from "../engine/runtime/store-notes.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { onPipeline, type ConnectOperate, type VerbContext } from "./operating.ts";
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
        options.live === true
          ? onPipeline(connect, plans, run, runningPlan)(name, options, live)
          : run((io) => show(io, planNamed(plans(readPlanSettings(io.env)), name), options)),
      );
  };

/** With what the stores of its workers are not any more, and the topics that are never quiet. */
async function live({ io, plan, ports, options }: VerbContext<DescribeOptions>): Promise<number> {
  const changes = await changesOf(plan, ports);
  const neverQuiet = (await unnotedSources(plan, ports)).map(({ source, writer }) =>
    unnotedText(writer, source),
  );
  if (options.json === true) io.out(JSON.stringify({ ...planData(plan), changes, neverQuiet }));
  else await show(io, plan, options);
  if (options.json === true || options.mermaid === true) return exitCodes.ok;
  for (const line of changes) io.out(`changed  ${line}`);
  for (const line of neverQuiet) io.out(`waits    ${line}`);
  return exitCodes.ok;
}

/** None before anything of the pipeline is there. */
async function changesOf(plan: Plan, ports: OperatePorts): Promise<readonly string[]> {
  const found = await ports.admin.describeTopics([plan.meta]);
  return (found.get(plan.meta) ?? null) === null ? [] : storeChanges(plan, ports);
}

function show(io: CliIo, plan: Plan, { json, mermaid }: DescribeOptions): Promise<number> {
  if (json === true) io.out(JSON.stringify(planData(plan)));
  else for (const line of mermaid === true ? planMermaid(plan) : planLines(plan)) io.out(line);
  return Promise.resolve(exitCodes.ok);
}
