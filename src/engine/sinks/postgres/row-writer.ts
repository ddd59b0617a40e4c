// Writes the rows of one batch inside a transaction that the caller owns. A row that Postgres refuses is found by halving
// inside savepoints; then its key is collapsed again without it, since an older row of the same key may have been
// collapsed under it. A record's rows are written all or none. Nothing is committed here.
import { PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import type { Correction } from "../../core/plan.ts";
import type { SinkTaskId } from "../../core/ports.ts";
import type { Column, TableLayout } from "../../core/table-layout.ts";
import { chunks } from "../chunks.ts";
import { byAge, collapse, type CompareRows, type KeyGroup } from "../collapse.ts";
import { encoderOf, type Encode } from "../column-encoding.ts";
import type { PreparedRow, RefusedRow } from "../row-mapping.ts";
import { upsertStatement, upsertValues } from "./upsert-statement.ts";

interface WrittenRows {
  /** Source indexes, as in SinkResult. */
  readonly written: Set<number>;
  readonly stale: Set<number>;
  readonly refused: RefusedRow[];
}

interface WriteOptions {
  readonly task: SinkTaskId;
  /** Epoch ms for `processed_at`. */
  readonly now: number;
  readonly chunkRows: number;
}

/** 8 million characters of parameters a statement, however few rows that is. */
const CHUNK_CHARS = 8_000_000;

/** `timestamptz` from epoch ms. */
export const encodeInstant: Encode = encoderOf({
  name: "instant",
  type: { sql: "timestamp with time zone", encoding: "epoch-millis", scale: 0, symbols: null },
} as Column);

export class RowWriter {
  readonly #layout: TableLayout;
  readonly #corrects: Correction | undefined;
  readonly #statement: string;
  readonly #compare: CompareRows;

  constructor(layout: TableLayout, corrects?: Correction) {
    this.#layout = layout;
    this.#corrects = corrects;
    this.#statement = upsertStatement(layout, corrects);
    this.#compare = byAge(layout);
  }

  /** `refused` are known already; other rows of their records are not written either. */
  async write(
    session: PostgresSession,
    rows: readonly PreparedRow[],
    options: WriteOptions,
    refused: readonly RefusedRow[] = [],
  ): Promise<WrittenRows> {
    const known = new Map(refused.map((one) => [one.row.index, one]));
    for (;;) {
      const whole = rows.filter(({ row }) => !known.has(row.index));
      await session.query("SAVEPOINT batch");
      const outcome = await this.#writeWhole(session, whole, options);
      const before = known.size;
      for (const one of outcome.refused) known.set(one.row.index, one);
      const refusals = [...known.values()].sort((a, b) => a.row.index - b.row.index);
      const isTorn = known.size > before && hasSiblings(whole, known);
      await session.query(isTorn ? "ROLLBACK TO SAVEPOINT batch" : "RELEASE SAVEPOINT batch");
      if (!isTorn) return { ...outcome, refused: refusals };
    }
  }

  async #writeWhole(
    session: PostgresSession,
    rows: readonly PreparedRow[],
    options: WriteOptions,
  ): Promise<WrittenRows> {
    const outcome: WrittenRows = { written: new Set(), stale: new Set(), refused: [] };
    const limits = { itemsMax: options.chunkRows, sizeMax: CHUNK_CHARS };
    let pending = rows;
    while (pending.length > 0) {
      const again: PreparedRow[] = [];
      const groups = collapse(pending, this.#compare);
      for (const chunk of chunks(groups, (group) => charsOf(group.newest), limits))
        await this.#writeChunk(session, chunk, { options, outcome, again });
      pending = again;
    }
    return outcome;
  }

  async #writeChunk(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    run: ChunkRun,
  ): Promise<void> {
    const answer = await this.#tryChunk(session, groups, run.options);
    if (!(answer instanceof PostgresError)) return settle(groups, answer, run.outcome);
    const [only, ...others] = groups;
    if (only !== undefined && others.length === 0) return refuse(only, answer, run);
    const half = groups.length >> 1;
    await this.#writeChunk(session, groups.slice(0, half), run);
    await this.#writeChunk(session, groups.slice(half), run);
  }

  /** Positions of the rows that changed nothing, or the refusal, after which nothing of the chunk is written. */
  async #tryChunk(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    { task, now }: WriteOptions,
  ): Promise<ReadonlySet<number> | PostgresError> {
    const written = { now: encodeInstant(now) ?? "", encodeTime: encodeInstant };
    const at = { task, corrects: this.#corrects, ...written };
    const newest = groups.map((group) => group.newest);
    await session.query("SAVEPOINT chunk");
    try {
      const values = upsertValues(this.#layout, newest, at);
      const { rows } = await session.query<{ position: number }>(this.#statement, values);
      await session.query("RELEASE SAVEPOINT chunk");
      return new Set(rows.map(({ position }) => position));
    } catch (error) {
      if (!(error instanceof PostgresError) || error.facts.fault !== "row") throw error;
      await session.query("ROLLBACK TO SAVEPOINT chunk; RELEASE SAVEPOINT chunk");
      return error;
    }
  }
}

/** Whether a refused record has more rows than one. */
function hasSiblings(
  rows: readonly PreparedRow[],
  refused: ReadonlyMap<number, RefusedRow>,
): boolean {
  const of = rows.filter(({ row }) => refused.has(row.index));
  return of.length > new Set(of.map(({ row }) => row.index)).size;
}

interface ChunkRun {
  readonly options: WriteOptions;
  readonly outcome: WrittenRows;
  /** Rows that were collapsed under a refused one. */
  readonly again: PreparedRow[];
}

const charsOf = ({ texts }: PreparedRow): number =>
  texts.reduce((sum, text) => sum + (text?.length ?? 4), 0);

function settle(
  groups: readonly KeyGroup[],
  unchanged: ReadonlySet<number>,
  { written, stale }: WrittenRows,
): void {
  for (const [i, { rows }] of groups.entries()) {
    const into = unchanged.has(i) ? stale : written;
    for (const { row } of rows) into.add(row.index);
  }
}

function refuse({ newest, rows }: KeyGroup, { facts }: PostgresError, run: ChunkRun): void {
  const refusal = { code: facts.sqlState ?? "", message: facts.detail };
  run.outcome.refused.push({ row: newest.row, refusal });
  run.again.push(...rows.filter((row) => row !== newest));
}
