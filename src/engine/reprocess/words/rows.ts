// `millrace.runs`: every run of the reprocessor, by pipeline and number. A run is written down before anything is made, and
// each step before it is done, so whoever comes after a crash knows what may be there.
import { PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresPool, QueryResult } from "../../clients/postgres/pool.ts";
import { ConfigError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { runOf, type StoredRun } from "./stored-run.ts";
import { isActive, runStateError, type RunRow, type RunState } from "./run.ts";

type NewRun = Pick<RunRow, "pipeline" | "run" | "target" | "range" | "options" | "counts">;
/** The changes of a row while its run lives; fields left out stay. */
export type RunChanges = Partial<
  Pick<RunRow, "state" | "step" | "range" | "options" | "rateLimit" | "counts" | "detail" | "error">
>;

const MS = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint::text`;
const FIELDS = `pipeline, run, state, step, target, range::text AS range, options, rate_limit::text AS rate_limit, counts,
  detail, ${MS("created_at")} AS created, ${MS("updated_at")} AS updated, ${MS("finished_at")} AS finished, error`;

/** Offsets are beyond what a JSON number holds. */
export const rangeText = (range: RunRow["range"]): string =>
  JSON.stringify(range, (_key, value: unknown) =>
    typeof value === "bigint" ? { offset: String(value) } : value,
  );
export class Runs {
  readonly #pool: PostgresPool;
  readonly #clock: Pick<Clock, "now">;

  constructor(pool: PostgresPool, clock: Pick<Clock, "now">) {
    this.#pool = pool;
    this.#clock = clock;
  }

  /** Newest first; of every pipeline when none is named. */
  async list(pipeline: string | null): Promise<readonly RunRow[]> {
    const text = `SELECT ${FIELDS} FROM millrace.runs WHERE $1::text IS NULL OR pipeline = $1
      ORDER BY created_at DESC, run DESC`;
    return (await this.#query<StoredRun>(text, [pipeline])).rows.map(runOf);
  }

  async find(pipeline: string, run: number): Promise<RunRow | null> {
    const text = `SELECT ${FIELDS} FROM millrace.runs WHERE pipeline = $1 AND run = $2`;
    const { rows } = await this.#query<StoredRun>(text, [pipeline, String(run)]);
    return rows[0] === undefined ? null : runOf(rows[0]);
  }

  async active(pipeline: string): Promise<RunRow | null> {
    return (await this.list(pipeline)).find(isActive) ?? null;
  }

  async create({ pipeline, run, target, range, options, counts }: NewRun): Promise<RunRow> {
    const text = `INSERT INTO millrace.runs (pipeline, run, state, target, range, options, counts, detail, created_at, updated_at)
      VALUES ($1, $2, 'planned', $3, $4, $5, $6, '{}', to_timestamp($7::float8 / 1000), to_timestamp($7::float8 / 1000))
      RETURNING ${FIELDS}`;
    const values = [pipeline, String(run), target, rangeText(range), JSON.stringify(options)];
    const now = String(this.#clock.now());
    const { rows } = await this.#query<StoredRun>(text, [...values, JSON.stringify(counts), now]);
    return runOf(rows[0] as StoredRun);
  }

  /** The row as it is then; null when it is in none of `states` any more, and nothing was changed. */
  async update(
    { pipeline, run }: Pick<RunRow, "pipeline" | "run">,
    changes: RunChanges,
    states: readonly RunState[] | null = null,
  ): Promise<RunRow | null> {
    const set = changesOf(changes);
    const columns = set.map(([column], i) => `${column} = $${String(i + 4)}`);
    const text = `UPDATE millrace.runs SET ${[...columns, ...timesOf(changes, this.#clock.now())].join(", ")}
      WHERE pipeline = $1 AND run = $2 AND ($3::text IS NULL OR state = ANY (string_to_array($3, ',')))
      RETURNING ${FIELDS}`;
    const at = [pipeline, String(run), states === null ? null : states.join(",")];
    const { rows } = await this.#query<StoredRun>(text, [...at, ...set.map(([, value]) => value)]);
    return rows[0] === undefined ? null : runOf(rows[0]);
  }

  async #query<R>(text: string, values: readonly (string | null)[]): Promise<QueryResult<R>> {
    try {
      return await this.#pool.query<R>(text, values);
    } catch (error) {
      // 42P01 undefined_table, 42703 undefined_column, 3F000 invalid_schema_name
      const state = error instanceof PostgresError ? error.facts.sqlState : null;
      if (!["42P01", "42703", "3F000"].includes(state ?? "")) throw error;
      throw new ConfigError("MILL_TABLE_MISSING", "millrace.runs", { cause: error });
    }
  }
}

/** Throws MILL_RUN_STATE when the row is in none of `states` any more. */
export async function changeRun(
  runs: Pick<Runs, "update">,
  row: RunRow,
  changes: RunChanges,
  states: readonly RunState[],
): Promise<RunRow> {
  const changed = await runs.update(row, changes, states);
  if (changed === null) throw runStateError(row, "has gone on meanwhile");
  return changed;
}

function timesOf({ state }: RunChanges, nowMs: number): string[] {
  const now = `to_timestamp(${String(nowMs)}::float8 / 1000)`;
  const finished =
    state === undefined ? [] : [`finished_at = ${isActive({ state }) ? "NULL" : now}`];
  return [`updated_at = ${now}`, ...finished];
}

function changesOf(changes: RunChanges): (readonly [string, string | null])[] {
  const { state, step, range, options, rateLimit, counts, detail, error } = changes;
  const json = (value: unknown): string | undefined =>
    value === undefined ? undefined : JSON.stringify(value);
  const all: readonly (readonly [string, string | null | undefined])[] = [
    ["state", state],
    ["step", step],
    ["range", range === undefined ? undefined : rangeText(range)],
    ["options", json(options)],
    ["rate_limit", typeof rateLimit === "number" ? String(rateLimit) : rateLimit],
    ["counts", json(counts)],
    ["detail", json(detail)],
    ["error", error],
  ];
  return all.flatMap(([column, value]) => (value === undefined ? [] : [[column, value] as const]));
}
