// `plan` and `apply` of declared things, topics or tables: what the servers lack of them, and making it so.
import { connected } from "./connection.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";

interface Provisioning<Connection, Plan> {
  readonly thing: "topic" | "table";
  /** The effect of `apply`, for the help. */
  readonly applies: string;
  connect(io: CliIo): Promise<Connection>;
  plan(connection: Connection): Promise<readonly Plan[]>;
  apply(connection: Connection): Promise<readonly Plan[]>;
  json(plan: Plan): string;
  text(plan: Plan): readonly string[];
}

interface ProvisionOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
}

export const provisionVerbs =
  <Connection extends { close(): Promise<void> }, Plan extends { readonly state: string }>(
    how: Provisioning<Connection, Plan>,
  ): Register =>
  (program, run) => {
    const { thing, applies } = how;
    const group = program.command(`${thing}s`).description(`show or make the declared ${thing}s`);
    const play = (options: ProvisionOptions, work: typeof how.plan): Promise<void> =>
      run((io) =>
        connected(how.connect, io, async (connection) => {
          const plans = await work(connection);
          for (const line of options.json === true ? plans.map(how.json) : plans.flatMap(how.text))
            io.out(line);
          return plans.some(({ state }) => state === "refused") ? exitCodes.config : exitCodes.ok;
        }),
      );
    group
      .command("plan")
      .option("--json", `print one JSON object a ${thing}`)
      .description("show what apply would do; changes nothing")
      .action((options: ProvisionOptions) => play(options, how.plan));
    group
      .command("apply")
      .option("--json", `print one JSON object a ${thing}`)
      .option("--dry-run", "as plan")
      .description(applies)
      .action((options: ProvisionOptions) =>
        play(options, options.dryRun === true ? how.plan : how.apply),
      );
  };
