// `millrace tables plan | apply`: what Postgres lacks of the declared tables, and making it so.
import type { PostgresPool } from "../engine/clients/postgres/pool.ts";
import type { Clock } from "../engine/core/ports.ts";
import {
  applyTables,
  planTables,
  type DeclaredTable,
  type TablePlan,
} from "../engine/provision/tables/tables.ts";
import type { TableStep } from "../engine/provision/tables/compare.ts";
import { exitCodes, type CliIo, type Register } from "./io.ts";

interface TablesConnection {
  /** Made with a statement timeout that lets an index be built. */
  readonly pool: PostgresPool;
  readonly clock: Clock;
  readonly tables: readonly DeclaredTable[];
  close(): Promise<void>;
}
type ConnectTables = (io: CliIo) => Promise<TablesConnection>;

interface TablesOptions {
  readonly json?: boolean;
  readonly dryRun?: boolean;
}

export const tablesVerb =
  (connect: ConnectTables): Register =>
  (program, run) => {
    const tables = program.command("tables").description("show or make the declared tables");
    const plan = (options: TablesOptions) => run((io) => planVerb(io, connect, options));
    tables
      .command("plan")
      .option("--json", "print one JSON object a table")
      .description("show what apply would do; changes nothing")
      .action(plan);
    tables
      .command("apply")
      .option("--json", "print one JSON object a table")
      .option("--dry-run", "as plan")
      .description("create and change tables, all of it or nothing; a second apply changes nothing")
      .action((options: TablesOptions) =>
        options.dryRun === true ? plan(options) : run((io) => applyVerb(io, connect, options)),
      );
  };

async function planVerb(
  io: CliIo,
  connect: ConnectTables,
  options: TablesOptions,
): Promise<number> {
  const connection = await connect(io);
  try {
    const plans = await planTables(connection.tables, connection.pool);
    print(io, plans, options);
    return plans.some(({ state }) => state === "refused") ? exitCodes.config : exitCodes.ok;
  } finally {
    await connection.close();
  }
}

async function applyVerb(
  io: CliIo,
  connect: ConnectTables,
  options: TablesOptions,
): Promise<number> {
  const connection = await connect(io);
  try {
    const { tables, pool, clock } = connection;
    print(io, await applyTables(tables, pool, clock), options);
    return exitCodes.ok;
  } finally {
    await connection.close();
  }
}

function print(io: CliIo, plans: readonly TablePlan[], { json }: TablesOptions): void {
  for (const line of json === true ? plans.map(jsonLine) : plans.flatMap(textLines)) io.out(line);
}

const jsonLine = ({ steps, ...plan }: TablePlan): string =>
  JSON.stringify({
    ...plan,
    steps: steps.map(({ text }) => text),
    sql: steps.flatMap(({ sql }) => sql ?? []),
    owner: steps.flatMap(({ owner }) => owner ?? []),
  });

const textLines = ({ table, state, steps, notes, rows }: TablePlan): string[] => [
  `${state.padEnd(8)} ${table}`,
  ...(state === "create" ? [] : steps.flatMap(stepLines)),
  ...notes.map((note) => `  note: ${note}`),
  ...(rows === 0 ? [] : [`  ${String(rows)} declared row${rows === 1 ? "" : "s"}`]),
];

/** A refused step, with what the table's owner may run. */
const stepLines = ({ text, sql, owner = [] }: TableStep): string[] => [
  `${sql === null ? "  cannot " : "  "}${text}`,
  ...(sql === null ? owner.map((statement) => `    its owner may run: ${statement};`) : []),
];
