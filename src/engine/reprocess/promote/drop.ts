// Removes for good what a finished run has left: its topics, tables and copies of state, except what the live pipeline
// uses; of a promoted run what it has put aside, too, after which there is no undo.
import type { PostgresPool } from "../../clients/postgres/pool.ts";
import type { Plan } from "../../core/plan.ts";
import { withStores } from "../../core/plan-stores.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { removeCopies } from "../../operate/stores.ts";
import { runningPlan } from "../../operate/gate/running-plan.ts";
import { topicsOfRun, runTable } from "../plan/shadow.ts";
import type { ReprocessPorts } from "../words/ports.ts";
import { shadowOfRun } from "../run/prepare.ts";
import { isActive, runStateError, type RunRow } from "../words/run.ts";
import { targetOf } from "../swap/names.ts";
import { detailOf } from "../words/steps.ts";
import { retiredTable } from "../swap/turns.ts";

export interface Leftovers {
  readonly topics: readonly string[];
  readonly tables: readonly { readonly schema: string; readonly name: string }[];
  /** Their copies of state are used by no pipeline. */
  readonly copies: readonly Plan[];
}

/** The leftovers that still exist. Throws MILL_RUN_STATE while the run is at work. */
export async function leftoversOf(
  row: RunRow,
  plan: Plan,
  ports: Pick<ReprocessPorts, keyof OperatePorts | "pool" | "runs">,
): Promise<Leftovers> {
  if (isActive(row)) throw runStateError(row, `is ${row.state}`);
  const shadow = shadowOfRun(plan, row);
  const now = await runningPlan(plan, ports);
  const others = (await ports.runs.list(row.pipeline)).filter(({ run }) => run !== row.run);
  // The stores of a promoted run are live; those before it are left over, unless another run may go back to them.
  const plans = [shadow, ...storesBefore(row, plan)];
  const needed = [now, ...others.flatMap((other) => storesBefore(other, plan))];
  const named = [...topicsOfRun(plan, shadow), ...plans.flatMap(changelogsOf)];
  const inUse = new Set([
    ...now.topics.all.map((topic) => topic.name),
    ...needed.flatMap(changelogsOf),
  ]);
  const there = new Set(await ports.admin.listTopics());
  return {
    topics: [...new Set(named)].filter((topic) => there.has(topic) && !inUse.has(topic)),
    tables: await tablesLeft(row, plan, ports.pool),
    copies: plans.filter((one) =>
      needed.every(({ storePrefix }) => storePrefix !== one.storePrefix),
    ),
  };
}

/** The stores that an undo goes back to; empty when there is nothing to undo. */
function storesBefore(row: RunRow, plan: Plan): readonly Plan[] {
  const detail = row.state === "promoted" || row.state === "promoting" ? detailOf(row) : null;
  return detail === null ? [] : [withStores(plan, detail.storesBefore)];
}

export const changelogsOf = ({ parts }: Plan): string[] =>
  parts.flatMap(({ stores }) => stores.map(({ changelog }) => changelog.name));

async function tablesLeft(
  row: RunRow,
  { tables }: Plan,
  pool: PostgresPool,
): Promise<Leftovers["tables"]> {
  const named = tables
    .map(({ declaration }) => declaration as TableSpec)
    .flatMap(({ schema, name }) =>
      [runTable(name, row.run), retiredTable(name, row.run)].map((one) => ({ schema, name: one })),
    );
  const left = [];
  for (const table of named) {
    const text = `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r'`;
    if ((await pool.query(text, [table.schema, table.name])).count > 0) left.push(table);
  }
  return left;
}

/** Tables, topics, copies. Safe to repeat. */
export async function dropLeftovers(
  { topics, tables, copies }: Leftovers,
  ports: Pick<ReprocessPorts, keyof OperatePorts | "pool">,
): Promise<void> {
  await ports.pool.transaction(async (session) => {
    for (const table of tables) await session.query(`DROP TABLE ${targetOf(table)}`);
  });
  if (topics.length > 0) await ports.admin.deleteTopics(topics);
  for (const plan of copies) await removeCopies(plan, ports);
}
