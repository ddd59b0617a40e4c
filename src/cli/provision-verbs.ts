// `plan` and `apply` of declared things, topics or tables: what the servers lack of them, and making it so. With names of
// pipelines, nothing that belongs to others alone is touched.
import type { Command } from "commander";
import { connected } from "./connection.ts";
import { exitCodes, paragraph, type CliIo, type Register, type RunCommand } from "./io.ts";

interface Provisioning<Connection, Plan> {
  readonly thing: "topic" | "table";
  /** The effect of `apply`, for the help. */
  readonly applies: string;
  connect(io: CliIo): Promise<Connection>;
  plan(connection: Connection, options: NamedOptions): Promise<readonly Plan[]>;
  apply(connection: Connection, options: NamedOptions): Promise<readonly Plan[]>;
  json(plan: Plan): string;
  text(plans: readonly Plan[], options: NamedOptions, connection: Connection): readonly string[];
  /** Adds options of its own. */
  options?(verb: Command): Command;
  /** Adds options of its own to `apply`. */
  applyOptions?(verb: Command): Command;
  /** Adds verbs of its own. */
  verbs?(group: Command, run: RunCommand): void;
}

export interface ProvisionOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly withRedrive?: boolean;
  /** The words that confirm losses, with commas between them. */
  readonly yes?: string;
}

/** None: all. */
export interface NamedOptions extends ProvisionOptions {
  readonly pipelines: readonly string[];
}

export const provisionVerbs =
  <Connection extends { close(): Promise<void> }, Plan extends { readonly state: string }>(
    how: Provisioning<Connection, Plan>,
  ): Register =>
  (program, run) => {
    const { thing, applies, options: more = asItIs, applyOptions = asItIs } = how;
    const group = program.command(`${thing}s`).description(`show or make the declared ${thing}s`);
    const play = (options: NamedOptions, work: typeof how.plan): Promise<void> =>
      run((io) =>
        connected(how.connect, io, async (connection) => {
          const plans = await work(connection, options);
          const isJson = options.json === true;
          const lines = isJson ? plans.map(how.json) : how.text(plans, options, connection);
          for (const line of lines) paragraph(io.out, line);
          return plans.some(({ state }) => state === "refused") ? exitCodes.config : exitCodes.ok;
        }),
      );
    const verb = (name: string): Command =>
      more(group.command(name))
        .argument("[pipelines...]", `the ${thing}s of these alone; default: all`)
        .option("--json", `print one JSON object a ${thing}`);
    verb("plan")
      .description("show what apply would do; changes nothing")
      .action((pipelines: readonly string[], options: ProvisionOptions) =>
        play({ ...options, pipelines }, how.plan),
      );
    applyOptions(verb("apply"))
      .option("--dry-run", "as plan")
      .description(applies)
      .action((pipelines: readonly string[], options: ProvisionOptions) =>
        play({ ...options, pipelines }, options.dryRun === true ? how.plan : how.apply),
      );
    how.verbs?.(group, run);
  };

const asItIs = (verb: Command): Command => verb;
