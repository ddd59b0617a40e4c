// Which tables change places in a promotion, and the swap of them in Postgres with the run's step and the progress of their
// tasks: "was it done?" is answered by the step, which is changed with them or not at all.
import type { PostgresPool, PostgresSession } from "../../clients/postgres/pool.ts";
import type { Plan } from "../../core/plan.ts";
import type { LedgerCounts } from "../../core/ledger.ts";
import type { Clock, SinkTaskId } from "../../core/ports.ts";
import type { TableSpec } from "../../core/table-layout.ts";
import { moveProgress } from "../../sinks/postgres/progress-row.ts";
import { encodeInstant } from "../../sinks/postgres/row-writer.ts";
import { runTable, tableLabel } from "../plan/shadow.ts";
import { declaredNames } from "./names.ts";
import { dressTables, refuse, swapObstacles, swapTables, type TableTurn } from "./swap.ts";
import { runStateError, type RunRow } from "../words/run.ts";

/** Progress of a table's task, put elsewhere under a raised epoch; null leaves as it is. */
export interface ProgressMove {
  readonly task: SinkTaskId;
  readonly nextOffset: bigint | null;
  readonly ledger: LedgerCounts | null;
}

export interface Swapping {
  readonly row: Pick<RunRow, "pipeline" | "run">;
  readonly turns: readonly TableTurn[];
  readonly moves: readonly ProgressMove[];
  /** The run's step, which is changed with the tables or not at all. */
  readonly from: string;
  readonly to: string;
}

export interface PromoteTables {
  /** The obstacles to the swap, one line each. */
  obstacles(turns: readonly TableTurn[]): Promise<readonly string[]>;
  /** Tables, progress and step in one transaction; nothing when the step is `to` already. */
  swap(swapping: Swapping): Promise<void>;
}

/** `orders_old_7`: the table that run 7 has replaced. */
export const retiredTable = (table: string, run: number): string => `${table}_old_${String(run)}`;

/** The tables of the pipeline, each once. */
export function turnsOf({ tables }: Plan, run: number): readonly TableTurn[] {
  const unique = new Map(tables.map((table) => [tableLabel(table), table]));
  return [...unique.values()].map(({ declaration }) => {
    const spec = declaration as TableSpec;
    const incoming = runTable(spec.name, run);
    const { schema, name: live } = spec;
    const declared = declaredNames(spec, incoming);
    return { schema, live, incoming, retired: retiredTable(live, run), declared };
  });
}

/** The way back: what the declaration says now is not what named the old table's checks and indexes. */
export const turnsBack = (turns: readonly TableTurn[]): readonly TableTurn[] =>
  turns.map(({ incoming, retired, ...turn }) => ({
    ...turn,
    incoming: retired,
    retired: incoming,
    declared: new Map(),
  }));

/** `giveUpMs`: how long readers may delay the swap. */
export function promoteTables(
  pool: PostgresPool,
  clock: Clock,
  giveUpMs: number,
  say: (line: string) => void,
): PromoteTables {
  const onWaiting = (holders: readonly number[]): void =>
    say(`the tables are in use, by process ${holders.join(", ") || "?"}: trying again`);
  return {
    obstacles: (turns) => swapObstacles(turns, pool),
    async swap(swapping) {
      if (await decided(pool, swapping)) return;
      refuse(await swapObstacles(swapping.turns, pool));
      await dressTables(swapping.turns, pool);
      const alongside = (session: PostgresSession): Promise<boolean> =>
        decide(session, swapping, encodeInstant(clock.now()) ?? "");
      await swapTables({ tables: swapping.turns, alongside }, { pool, clock, giveUpMs, onWaiting });
    },
  };
}

async function decided(session: PostgresSession, { row, to }: Swapping): Promise<boolean> {
  const text = `SELECT step FROM millrace.runs WHERE pipeline = $1 AND run = $2`;
  const { rows } = await session.query<{ step: string }>(text, [row.pipeline, String(row.run)]);
  return rows[0]?.step === to;
}

/** False: an earlier try was committed, and only its answer was lost. */
async function decide(session: PostgresSession, swapping: Swapping, now: string): Promise<boolean> {
  const { row, from, to, moves } = swapping;
  const { count } = await session.query(
    `UPDATE millrace.runs SET step = $3, updated_at = $4::timestamptz
     WHERE pipeline = $1 AND run = $2 AND state = 'promoting' AND step = $5`,
    [row.pipeline, String(row.run), to, now, from],
  );
  if (count === 0) {
    if (await decided(session, swapping)) return false;
    throw runStateError(row, "has gone on meanwhile");
  }
  for (const move of moves) await moveProgress(session, move.task, { ...move, now });
  return true;
}
