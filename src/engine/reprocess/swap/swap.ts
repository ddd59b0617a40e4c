// Tables change places: the incoming ones take the live names, the live ones step back, with everything that hangs on them,
// and what the caller decides beside it, in one transaction or not at all. Run the other way round it is the undo.
// Waits for whoever reads the tables, in short tries, and gives up after a while without having changed anything.
import { CommitUnknownError, PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresPool, PostgresSession } from "../../clients/postgres/pool.ts";
import { MillraceError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { deadlockCheckMs, endAutovacuum, holdersOf, takeLocks, type Locked } from "./locks.ts";
import { lackingOf, obstaclesOf, type Pair } from "./obstacles.ts";
import { openTransactions, stillOpen } from "./old-readers.ts";
import { findRelation, type Relation } from "./relation.ts";
import { incomingOf, lackingStatements, swapStatements, viewsOf, type Turn } from "./statements.ts";

export interface TableTurn {
  readonly schema: string;
  readonly live: string;
  readonly incoming: string;
  /** The name that the live table steps back to. */
  readonly retired: string;
  /** Names of checks and indexes that the live table's declaration gives, by those of the incoming one. */
  readonly declared: ReadonlyMap<string, string>;
}

export interface SwapRequest {
  readonly tables: readonly TableTurn[];
  /** Decides beside the swap, in its transaction and before any table is locked; false: it was decided before. */
  alongside(session: PostgresSession): Promise<boolean>;
}

export interface SwapPorts {
  readonly pool: PostgresPool;
  readonly clock: Clock;
  readonly giveUpMs: number;
  /** Called after each failed try, with the server's process ids. */
  onWaiting(holders: readonly number[]): void;
}

/** The obstacles to the swap, one line each; empty: it could be done now. Changes nothing. */
export async function swapObstacles(
  tables: readonly TableTurn[],
  pool: PostgresPool,
): Promise<readonly string[]> {
  return pool.transaction(async (session) => {
    await session.query(CATALOGUE_ONLY);
    return (await turnsOf(session, tables)).obstacles;
  });
}

/** Gives the incoming tables what the live ones have by hand; may take long, and nobody waits. Safe to repeat. */
export async function dressTables(tables: readonly TableTurn[], pool: PostgresPool): Promise<void> {
  await pool.transaction(async (session) => {
    await session.query(CATALOGUE_ONLY);
    const turns = await readyTurns(session, tables);
    const swapped = namesOf(turns);
    for (const turn of turns) {
      const statements = lackingStatements(turn, lackingOf(turn, swapped));
      for (const statement of statements) await session.query(statement);
      await session.query(`ANALYZE "${turn.incoming.schema}"."${turn.incoming.name}"`);
    }
  });
}

/** After `dressTables`. Throws MILL_SWAP_REFUSED with what forbids it, or MILL_SWAP_BUSY after `giveUpMs`. */
export async function swapTables(request: SwapRequest, ports: SwapPorts): Promise<void> {
  const { pool, clock } = ports;
  const endMs = clock.monotonic() + ports.giveUpMs;
  await awaitReaders(ports, endMs);
  const checkMs = await deadlockCheckMs(pool);
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    try {
      return await attempt(request, ports, checkMs / 2);
    } catch (error) {
      // Whether it was decided is known to `alongside`, at the next try.
      const isWaiting = error instanceof CommitUnknownError || isBusy(error);
      if (!isWaiting || clock.monotonic() >= endMs)
        throw isBusy(error) ? await busy(request, pool) : error;
    }
    ports.onWaiting(await holdersOf(pool, bothOf(request.tables)));
    await endAutovacuums(request, pool, checkMs);
    await clock.sleep(pauseMs);
  }
}

/** Between two tries whoever waited for us reads. */
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 2_000;
const CATALOGUE_ONLY = "SET LOCAL search_path = pg_catalog";

const isBusy = (error: unknown): boolean =>
  error instanceof PostgresError && /^(55P03|57014|40P01)$/.test(error.facts.sqlState ?? "");

async function attempt(
  { tables, alongside }: SwapRequest,
  { pool }: SwapPorts,
  budgetMs: number,
): Promise<void> {
  await pool.transaction(async (session) => {
    await session.query(`${CATALOGUE_ONLY}; SET LOCAL lock_timeout = ${String(budgetMs)}`);
    if (!(await alongside(session))) return;
    const before = await readyTurns(session, tables);
    await takeLocks(session, lockedBy(before), budgetMs);
    // Views and keys added before the locks were ours are seen now, and none can be added any more.
    const turns = await readyTurns(session, tables);
    if (JSON.stringify(lockedBy(turns)) !== JSON.stringify(lockedBy(before)))
      refuse(["a view or a foreign key was added this very moment: try again"]);
    refuse(turns.flatMap((turn) => lackingNames(turn, namesOf(turns))));
    for (const statement of swapStatements(turns)) await session.query(statement);
  });
}

/** It was added after the incoming table was dressed. */
function lackingNames(turn: Turn, swapped: ReadonlySet<string>): readonly string[] {
  const { constraints, indexes } = lackingOf(turn, swapped);
  return [...constraints, ...indexes].map(
    ({ name }) => `${turn.incoming.name} lacks ${name}, which is new: try again`,
  );
}

function lockedBy(turns: readonly Turn[]): Locked {
  const swapped = namesOf(turns);
  const others = turns.flatMap(({ live }) =>
    incomingOf(live, swapped).map(({ schema, table }) => ({ schema, name: table })),
  );
  const tables = [...turns.flatMap(({ live, incoming }) => [live, incoming]), ...others];
  const unique = new Map(
    tables.map(({ schema, name }) => [JSON.stringify([schema, name]), { schema, name }]),
  );
  const sorted = [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, table]) => table);
  return { views: viewsOf(turns), tables: sorted };
}

const namesOf = (pairs: readonly Pair[]): ReadonlySet<string> =>
  new Set(pairs.map(({ live }) => `${live.schema}.${live.name}`));

/** Turns that nothing forbids. */
async function readyTurns(
  session: PostgresSession,
  tables: readonly TableTurn[],
): Promise<readonly Turn[]> {
  const { turns, obstacles } = await turnsOf(session, tables);
  refuse(obstacles);
  return turns;
}

async function turnsOf(
  session: PostgresSession,
  tables: readonly TableTurn[],
): Promise<{ turns: readonly Turn[]; obstacles: readonly string[] }> {
  const turns: Turn[] = [];
  const problems: string[] = [];
  for (const { schema, declared, ...names } of tables) {
    const find = (name: string): Promise<Relation | null> => findRelation(session, schema, name);
    const live = await find(names.live);
    const incoming = await find(names.incoming);
    const isTaken = (await find(names.retired)) !== null;
    if (live === null) problems.push(`${schema}.${names.live} is not there`);
    if (incoming === null) problems.push(`${schema}.${names.incoming} is not there`);
    if (isTaken) problems.push(`${schema}.${names.retired} is there already`);
    if (live !== null && incoming !== null)
      turns.push({ live, incoming, retired: names.retired, declared });
  }
  return { turns, obstacles: [...problems, ...turns.flatMap(obstaclesOf)] };
}

/** Throws MILL_SWAP_REFUSED unless there are none. */
export function refuse(obstacles: readonly string[]): void {
  if (obstacles.length > 0) throw new MillraceError("MILL_SWAP_REFUSED", obstacles.join("; "));
}

const bothOf = (tables: readonly TableTurn[]): Locked["tables"] =>
  tables.flatMap(({ schema, live, incoming }) => [
    { schema, name: live },
    { schema, name: incoming },
  ]);

async function busy({ tables }: SwapRequest, pool: PostgresPool): Promise<MillraceError> {
  const holders = await holdersOf(pool, bothOf(tables));
  const names = tables.map(({ schema, live }) => `${schema}.${live}`).join(", ");
  return new MillraceError("MILL_SWAP_BUSY", `${names}, by process ${holders.join(", ") || "?"}`);
}

/** Postgres ends an autovacuum for whoever waits long enough: that must not be the session that keeps readers waiting. */
async function endAutovacuums(
  { tables }: SwapRequest,
  pool: PostgresPool,
  checkMs: number,
): Promise<void> {
  for (const table of bothOf(tables)) {
    const isDone = pool.transaction((session) => endAutovacuum(session, table, checkMs));
    await isDone.catch((error: unknown) => {
      if (!isBusy(error)) throw error;
    });
  }
}

async function awaitReaders(ports: SwapPorts, endMs: number): Promise<void> {
  const { pool, clock } = ports;
  let open = await openTransactions(pool);
  for (;;) {
    open = await stillOpen(pool, open);
    if (open.length === 0) return;
    const pids = open.map(({ pid }) => pid);
    if (clock.monotonic() >= endMs)
      throw new MillraceError(
        "MILL_SWAP_BUSY",
        `transactions that are older than the shadow are still open, by process ${pids.join(", ")}`,
      );
    ports.onWaiting(pids);
    await clock.sleep(PAUSE_MS);
  }
}
