// `plan` and `apply` of declared things, topics or tables: what the servers lack of them, and making it so.
import type { Command } from "commander";
import { connected } from "./connection.ts";
import { exitCodes, paragraph, type CliIo, type Register, type RunCommand } from "./io.ts";

interface Provisioning<Connection, Plan> {
  readonly thing: "topic" | "table";
  /** The effect of `apply`, for the help. */
  readonly applies: string;
  connect(io: CliIo): Promise<Connection>;
  plan(connection: Connection, options: ProvisionOptions): Promise<readonly Plan[]>;
  apply(connection: Connection, options: ProvisionOptions): Promise<readonly Plan[]>;
  json(plan: Plan): string;
  text(
    plans: readonly Plan[],
    options: ProvisionOptions,
    connection: Connection,
  ): readonly string[];
  /** Adds options of its own. */
  options?(verb: Command): Command;
  /** Adds verbs of its own. */
  verbs?(group: Command, run: RunCommand): void;
}

export interface ProvisionOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly withRedrive?: boolean;
}

export const provisionVerbs =
  <Connection extends { close(): Promise<void> }, Plan extends { readonly state: string }>(
    how: Provisioning<Connection, Plan>,
  ): Register =>
  (program, run) => {
    const { thing, applies, options: more = (verb) => verb } = how;
    const group = program.command(`${thing}s`).description(`show or make the declared ${thing}s`);
    const play = (options: ProvisionOptions, work: typeof how.plan): Promise<void> =>
      run((io) =>
        connected(how.connect, io, async (connection) => {
          const plans = await work(connection, options);
          const isJson = options.json === true;
          const lines = isJson ? plans.map(how.json) : how.text(plans, options, connection);
          for (const line of lines) paragraph(io.out, line);
          return plans.some(({ state }) => state === "refused") ? exitCodes.config : exitCodes.ok;
        }),
      );
    more(group.command("plan"))
      .option("--json", `print one JSON object a ${thing}`)
      .description("show what apply would do; changes nothing")
      .action((options: ProvisionOptions) => play(options, how.plan));
    more(group.command("apply"))
      .option("--json", `print one JSON object a ${thing}`)
      .option("--dry-run", "as plan")
      .description(applies)
      .action((options: ProvisionOptions) =>
        play(options, options.dryRun === true ? how.plan : how.apply),
      );
    how.verbs?.(group, run);
  };
