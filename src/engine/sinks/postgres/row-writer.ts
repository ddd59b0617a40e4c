// Writes the rows of one batch inside a transaction that the caller owns. A row that Postgres refuses is found by halving
// inside savepoints; then its key is collapsed again without it, since an older row of the same key may have been
// collapsed under it. A record's rows are written all or none. Nothing is committed here.
import { PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import type { Correction } from "../../core/plan.ts";
import type { TopicPartition } from "../../core/record.ts";
import { isWholeKey, type Column, type TableLayout } from "../../core/table-layout.ts";
import { chunks } from "../chunks.ts";
import {
  byAge,
  collapse,
  settle,
  settleWhole,
  type CompareRows,
  type KeyGroup,
  type RowFates,
} from "../collapse.ts";
import { encoderOf, type Encode } from "../column-encoding.ts";
import type { PreparedRow, RefusedRow } from "../row-mapping.ts";
import {
  comparedValues,
  comparingStatement,
  upsertStatement,
  upsertValues,
  type WrittenAt,
} from "./upsert-statement.ts";

/** Source indexes, as in SinkResult. */
interface WrittenRows extends RowFates {
  readonly refused: RefusedRow[];
}

interface WriteOptions {
  /** Where the records came from. */
  readonly task: TopicPartition;
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
  readonly #comparing: string;
  readonly #compare: CompareRows;

  constructor(layout: TableLayout, corrects?: Correction) {
    this.#layout = layout;
    this.#corrects = corrects;
    this.#statement = upsertStatement(layout, corrects);
    this.#comparing = comparingStatement(layout, corrects);
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
    if (!(answer instanceof PostgresError)) return this.#settle(groups, answer, run.outcome);
    const [only, ...others] = groups;
    if (only !== undefined && others.length === 0) return refuse(only, answer, run);
    const half = groups.length >> 1;
    await this.#writeChunk(session, groups.slice(0, half), run);
    await this.#writeChunk(session, groups.slice(half), run);
  }

  #settle(
    groups: readonly KeyGroup[],
    { unchanged, losing }: ChunkAnswer,
    outcome: WrittenRows,
  ): void {
    const isWhole = isWholeKey(this.#layout);
    for (const [i, group] of groups.entries())
      if (isWhole) settleWhole(group, outcome);
      else settle(group, { isWritten: !unchanged.has(i), losing }, outcome);
  }

  /** What became of the groups, or the refusal, after which nothing of the chunk is written. */
  async #tryChunk(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    { task, now }: WriteOptions,
  ): Promise<ChunkAnswer | PostgresError> {
    const written = { now: encodeInstant(now) ?? "", encodeTime: encodeInstant };
    const at = { task, corrects: this.#corrects, ...written };
    const newest = groups.map((group) => group.newest);
    await session.query("SAVEPOINT chunk");
    try {
      const losing = await this.#losing(session, groups, at);
      const values = upsertValues(this.#layout, newest, at);
      const { rows } = await session.query<{ position: number }>(this.#statement, values);
      await session.query("RELEASE SAVEPOINT chunk");
      return { unchanged: new Set(rows.map(({ position }) => position)), losing };
    } catch (error) {
      if (!(error instanceof PostgresError) || error.facts.fault !== "row") throw error;
      await session.query("ROLLBACK TO SAVEPOINT chunk; RELEASE SAVEPOINT chunk");
      return error;
    }
  }

  /**
   * Rising rows under the newest that are no newer than what is stored. Where a group's first is newer, so are all behind
   * it: mostly one row a group is asked for, and none where all keys of the chunk differ.
   */
  async #losing(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    at: WrittenAt,
  ): Promise<ReadonlySet<PreparedRow>> {
    const rising = groups
      .map((group) => group.rising.slice(0, -1))
      .filter(({ length }) => length > 0);
    if (rising.length === 0 || isWholeKey(this.#layout)) return new Set();
    const firsts = rising.map(([first]) => first as PreparedRow);
    const losing = new Set(await this.#compared(session, firsts, at));
    const rest = rising.flatMap(([first, ...others]) =>
      losing.has(first as PreparedRow) ? others : [],
    );
    const more = rest.length === 0 ? [] : await this.#compared(session, rest, at);
    return new Set([...losing, ...more]);
  }

  /** One that cannot be compared is none of them: it would have been refused, had nothing newer taken its place. */
  async #compared(
    session: PostgresSession,
    rows: readonly PreparedRow[],
    at: WrittenAt,
  ): Promise<readonly PreparedRow[]> {
    try {
      const values = comparedValues(this.#layout, rows, at);
      const found = await session.query<{ position: number }>(this.#comparing, values);
      return found.rows.map(({ position }) => rows[position] as PreparedRow);
    } catch (error) {
      if (!(error instanceof PostgresError) || error.facts.fault !== "row") throw error;
      await session.query("ROLLBACK TO SAVEPOINT chunk");
      if (rows.length === 1) return [];
      const half = rows.length >> 1;
      const before = await this.#compared(session, rows.slice(0, half), at);
      return [...before, ...(await this.#compared(session, rows.slice(half), at))];
    }
  }
}

/** What the database says of a chunk. */
interface ChunkAnswer {
  /** Positions of the groups whose newest row changed nothing. */
  readonly unchanged: ReadonlySet<number>;
  readonly losing: ReadonlySet<PreparedRow>;
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

function refuse({ newest, rows }: KeyGroup, { facts }: PostgresError, run: ChunkRun): void {
  const refusal = { code: facts.sqlState ?? "", message: facts.detail };
  run.outcome.refused.push({ row: newest.row, refusal });
  run.again.push(...rows.filter((row) => row !== newest));
}
