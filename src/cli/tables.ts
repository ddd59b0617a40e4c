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
import type { PlanSettings } from "../engine/core/plan-settings.ts";
import { plansNamed } from "../engine/operate/choice.ts";
import type { PlansOf } from "./connection.ts";
import type { CliIo, Register } from "./io.ts";
import { provisionVerbs, type NamedOptions } from "./provision-verbs.ts";

interface TablesConnection extends PlanSettings {
  /** Made with a statement timeout that lets an index be built. */
  readonly pool: PostgresPool;
  readonly clock: Clock;
  /** Every declared one, also those that no pipeline fills. */
  readonly tables: readonly DeclaredTable[];
  close(): Promise<void>;
}
type ConnectTables = (io: CliIo) => Promise<TablesConnection>;

export const tablesVerb = (connect: ConnectTables, plansOf: PlansOf): Register => {
  /** With names, the tables that these pipelines fill. */
  const wanted = (connection: TablesConnection, { pipelines }: NamedOptions) =>
    pipelines.length === 0
      ? connection.tables
      : plansNamed(plansOf(connection), pipelines)
          .flatMap(({ tables }) => tables)
          .map(({ declaration }) => declaration as DeclaredTable);
  return provisionVerbs({
    thing: "table",
    applies: "create and change tables, all of it or nothing; a second apply changes nothing",
    connect,
    plan: (connection, options) => planTables(wanted(connection, options), connection.pool),
    apply: (connection, options) =>
      applyTables(wanted(connection, options), connection.pool, connection.clock),
    json: jsonLine,
    text: (plans) => plans.flatMap(textLines),
    applyOptions: (verb) => verb.addHelpText("after", APPLY_HELP),
  });
};

const APPLY_HELP = `
A table that others have made is never changed: what it lacks is printed as SQL for its owner, in one transaction, and the
command exits 78. After the owner has run it, apply and workers are content. With names of pipelines, only the tables that
these fill are looked at, and Millrace's own.

Exit codes: 0 done · 2 usage · 3 no such pipeline · 69 Postgres is away · 78 refused.`;

const jsonLine = ({ steps, ...plan }: TablePlan): string =>
  JSON.stringify({
    ...plan,
    steps: steps.map(({ text }) => text),
    sql: steps.flatMap(({ sql }) => sql ?? []),
    owner: ownerSql(steps),
  });

const textLines = ({ table, state, steps, notes, rows }: TablePlan): string[] => [
  `${state.padEnd(8)} ${table}`,
  ...(state === "create" ? [] : steps.map(stepLine)),
  ...ownerLines(ownerSql(steps)),
  ...notes.map((note) => `  note: ${note}`),
  ...(rows === 0 ? [] : [`  ${String(rows)} declared row${rows === 1 ? "" : "s"}`]),
];

const stepLine = ({ text, sql }: TableStep): string =>
  `${sql === null ? "  cannot " : "  "}${text}`;

/** The statements for the table's owner, where steps are refused. */
const ownerSql = (steps: readonly TableStep[]): readonly string[] =>
  steps.flatMap(({ sql, owner = [] }) => (sql === null ? owner : []));

const ownerLines = (statements: readonly string[]): readonly string[] =>
  statements.length === 0
    ? []
    : [
        "  its owner may run:",
        ...["BEGIN", ...statements, "COMMIT"].map((statement) => `    ${statement};`),
      ];
