// `millrace describe`: a pipeline's parts, operators, topics and tables, without connecting to anything.
import { MillraceError } from "../engine/core/errors.ts";
import type { PlansOf } from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";
import { planData, planLines, planMermaid } from "./plan-text.ts";

interface DescribeOptions {
  readonly json?: boolean;
  readonly mermaid?: boolean;
}

export const describeVerb =
  (plans: PlansOf): Register =>
  (program, run) => {
    program
      .command("describe")
      .argument("<pipeline>", "the name of a pipeline")
      .option("--json", "print one JSON object")
      .option("--mermaid", "print a Mermaid flow chart")
      .description("show a pipeline's parts, operators, topics and tables")
      .action((name: string, options: DescribeOptions) =>
        run((io) => Promise.resolve(show(io, plans, { name, ...options }))),
      );
  };

function show(
  io: CliIo,
  plans: PlansOf,
  { name, json, mermaid }: DescribeOptions & { name: string },
): number {
  const all = plans(io.env["MILLRACE_NAMESPACE"] ?? "");
  const plan = all.find(({ pipeline }) => pipeline === name);
  if (plan === undefined) {
    const known = all.map(({ pipeline }) => pipeline).join(", ");
    throw new MillraceError("MILL_NOT_FOUND", `no pipeline ${name}; there are ${known}`);
  }
  if (json === true) io.out(JSON.stringify(planData(plan)));
  else for (const line of mermaid === true ? planMermaid(plan) : planLines(plan)) io.out(line);
  return exitCodes.ok;
}
