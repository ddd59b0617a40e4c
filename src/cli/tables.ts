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
import type { CliIo, Register } from "./io.ts";
import { provisionVerbs } from "./provision-verbs.ts";

interface TablesConnection {
  /** Made with a statement timeout that lets an index be built. */
  readonly pool: PostgresPool;
  readonly clock: Clock;
  readonly tables: readonly DeclaredTable[];
  close(): Promise<void>;
}
type ConnectTables = (io: CliIo) => Promise<TablesConnection>;

export const tablesVerb = (connect: ConnectTables): Register =>
  provisionVerbs({
    thing: "table",
    applies: "create and change tables, all of it or nothing; a second apply changes nothing",
    connect,
    plan: ({ tables, pool }) => planTables(tables, pool),
    apply: ({ tables, pool, clock }) => applyTables(tables, pool, clock),
    json: jsonLine,
    text: (plans) => plans.flatMap(textLines),
  });

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
