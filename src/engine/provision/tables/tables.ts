// Tables: plan, apply, check. `plan` only reads; `apply` does everything in one transaction or nothing, and a second one
// changes nothing; `run` only checks, since it never creates anything. A table that others have made is never changed.
import { PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresPool, PostgresSession } from "../../clients/postgres/pool.ts";
import { ConfigError, ConfigErrors, type MillraceError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { layoutOf, type TableLayout, type TableSpec } from "../../core/table-layout.ts";
import type { PreparedRow } from "../../sinks/row-mapping.ts";
import { encodeInstant } from "../../sinks/postgres/row-writer.ts";
import { findAccess } from "./access.ts";
import { compareAccess, notesOn } from "./compare-access.ts";
import { compareForeign, isMadeHere, notesOnForeign } from "./compare-foreign.ts";
import { compareTable, type TableStep } from "./compare.ts";
import { createSchema, targetOf } from "./ddl.ts";
import { countMissing, declaredRows, writeDeclaredRows } from "./declared-rows.ts";
import { desiredTable, ownTables, type DesiredTable } from "./desired.ts";
import { findTable, schemaExists, type FoundTable } from "./found.ts";

/** A declared table: `postgresTable()` makes it. */
export interface DeclaredTable extends TableSpec {
  readonly rows: () => Iterable<unknown>;
}

export interface TablePlan {
  /** schema.table */
  readonly table: string;
  readonly state: "create" | "change" | "ok" | "refused";
  /** The steps, one line each. */
  readonly steps: readonly TableStep[];
  /** The facts to know of a table that is there: its triggers, other constraints. */
  readonly notes: readonly string[];
  /** Declared rows that are missing or differ. */
  readonly rows: number;
}

/** Returns what `apply` would do, ours first. Throws ConfigErrors when a declaration cannot be a table. */
export async function planTables(
  tables: readonly DeclaredTable[],
  pool: PostgresPool,
): Promise<readonly TablePlan[]> {
  return planIn(pool, targetsOf(tables));
}

/** Creates and changes tables; returns what was done. Refuses as a whole (MILL_TABLE_DIFFERS) what would lose data. */
export async function applyTables(
  tables: readonly DeclaredTable[],
  pool: PostgresPool,
  clock: Clock,
): Promise<readonly TablePlan[]> {
  const targets = targetsOf(tables);
  return pool.transaction(async (session) => {
    // Two applies at once would both try to create.
    await session.query(
      "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('millrace tables apply'))",
    );
    const plans = await planIn(session, targets);
    const problems = plans.flatMap(refusalsOf);
    if (problems.length > 0) throw new ConfigErrors(problems);
    return Array.fromAsync(targets, (target, i) =>
      applyPlan(session, target, plans[i] as TablePlan, clock),
    );
  });
}

/** Everything that keeps `run` from starting; empty: all is well. */
export async function checkTables(
  tables: readonly TableSpec[],
  pool: PostgresSession,
): Promise<readonly MillraceError[]> {
  const targets = targetsOf(tables.map((table) => ({ ...table, rows: () => [] })));
  const problems: MillraceError[] = [];
  for (const { desired } of targets) {
    const found = await findTable(pool, desired.schema, desired.name);
    const label = `${desired.schema}.${desired.name}`;
    if (found === null) problems.push(new ConfigError("MILL_TABLE_MISSING", label));
    else
      for (const step of (await compareFound(pool, desired, found)).steps)
        if (step.isNeeded) problems.push(problemOf(label, step));
  }
  return problems;
}

/** The table and the account's way to it. */
async function compareFound(
  session: PostgresSession,
  desired: DesiredTable,
  found: FoundTable | null,
): Promise<{ steps: TableStep[]; notes: string[] }> {
  const isForeign = found !== null && !isMadeHere(desired, found);
  const steps = isForeign ? compareForeign(desired, found) : compareTable(desired, found);
  const access = found && (await findAccess(session, desired.schema, desired.name));
  if (access === null) return { steps, notes: [] };
  const isOwn = desired.schema === "millrace";
  return {
    steps: [...steps, ...compareAccess(desired, access)],
    notes: [
      ...(isForeign ? notesOnForeign(desired, found) : []),
      ...(isOwn ? [] : notesOn(access)),
    ],
  };
}

function problemOf(label: string, { text, owner = [], code }: TableStep): ConfigError {
  const mend = owner.length === 0 ? "" : `; its owner may run: ${owner.join("; ")}`;
  return new ConfigError(code ?? "MILL_TABLE_DIFFERS", `${label}: ${text}${mend}`);
}

interface TableTarget {
  readonly desired: DesiredTable;
  /** Null for our own tables. */
  readonly layout: TableLayout | null;
  readonly rows: readonly PreparedRow[];
}

function targetsOf(tables: readonly DeclaredTable[]): TableTarget[] {
  const problems: MillraceError[] = [];
  const own = ownTables.map((desired) => ({ desired, layout: null, rows: [] }));
  const unique = new Map(tables.map((table) => [`${table.schema}.${table.name}`, table]));
  const declared = [...unique.values()].flatMap((table): TableTarget[] => {
    try {
      const layout = layoutOf(table);
      return [{ desired: desiredTable(layout), layout, rows: declaredRows(layout, table.rows()) }];
    } catch (error) {
      if (error instanceof ConfigErrors) problems.push(...error.problems);
      else if (error instanceof ConfigError) problems.push(error);
      else throw error;
      return [];
    }
  });
  if (problems.length > 0) throw new ConfigErrors(problems);
  return [...own, ...declared];
}

/** Tables are planned one after the other: a session takes one statement at a time. */
const planIn = (session: PostgresSession, targets: readonly TableTarget[]): Promise<TablePlan[]> =>
  Array.fromAsync(targets, (target) => planOne(session, target));

async function planOne(session: PostgresSession, target: TableTarget): Promise<TablePlan> {
  const { desired, layout, rows } = target;
  const found = await findTable(session, desired.schema, desired.name);
  const { steps, notes } = await compareFound(session, desired, found);
  if (!(await schemaExists(session, desired.schema)))
    steps.unshift({
      text: `create schema ${desired.schema}`,
      sql: [createSchema(desired.schema)],
      isNeeded: true,
    });
  const isRefused = steps.some(({ sql }) => sql === null);
  // A table that lacks columns cannot be joined with rows that have them.
  const isComparable = found !== null && !steps.some(({ isNeeded }) => isNeeded);
  const missing =
    isComparable && layout !== null ? await countMissing(session, layout, rows) : rows.length;
  const isChanged = steps.length > 0 || missing > 0;
  const state = found === null ? "create" : isChanged ? "change" : "ok";
  return {
    table: `${desired.schema}.${desired.name}`,
    state: isRefused ? "refused" : state,
    steps,
    notes,
    rows: missing,
  };
}

async function applyPlan(
  session: PostgresSession,
  { desired, layout, rows }: TableTarget,
  plan: TablePlan,
  clock: Clock,
): Promise<TablePlan> {
  try {
    for (const statement of plan.steps.flatMap(({ sql }) => sql ?? []))
      await session.query(statement);
    if (layout === null || plan.rows === 0) return plan;
    const now = encodeInstant(clock.now()) ?? "";
    return { ...plan, rows: await writeDeclaredRows(session, layout, rows, now) };
  } catch (error) {
    // A row that is there breaks a new check, or a declared row breaks the table: no record is at fault.
    if (!(error instanceof PostgresError) || error.facts.fault !== "row") throw error;
    const detail = `${targetOf(desired)}: what is stored or declared does not fit: ${error.facts.detail}`;
    throw new ConfigError("MILL_TABLE_DIFFERS", detail, { cause: error });
  }
}

const refusalsOf = ({ table, steps }: TablePlan): MillraceError[] =>
  steps.filter(({ sql }) => sql === null).map((step) => problemOf(table, step));
