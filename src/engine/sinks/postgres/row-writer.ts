// Writes the rows of one batch inside a transaction that the caller owns. A row that Postgres refuses is found by halving
// inside savepoints; then its key is collapsed again without it, since an older row of the same key may have been
// collapsed under it. A record's rows are written all or none. A row that changed nothing was older than the stored one,
// or a trigger of the table has dropped it: the writer knows which. Nothing is committed here.
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
  type RowOutcomes,
} from "../collapse.ts";
import { encoderOf, type Encode } from "../column-encoding.ts";
import type { PreparedRow, RefusedRow } from "../row-mapping.ts";
import { ChunkStatements, ROLLBACK_CHUNK, type ChunkAnswer } from "./chunk-statements.ts";
import { Trial, type TrialPatience } from "./trial.ts";
import type { WrittenAt } from "./upsert-statement.ts";

/** Source indexes, as in SinkResult. */
interface WrittenRows extends RowOutcomes {
  /** Rows that a trigger of the table has dropped. */
  readonly suppressed: Set<number>;
  readonly refused: RefusedRow[];
}

interface WriteOptions {
  /** The place that the records came from. */
  readonly task: TopicPartition;
  /** Epoch ms for `processed_at`. */
  readonly now: number;
  readonly chunkRows: number;
  readonly patience: TrialPatience;
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
  readonly #statements: ChunkStatements;
  readonly #compare: CompareRows;

  constructor(layout: TableLayout, corrects?: Correction) {
    this.#layout = layout;
    this.#corrects = corrects;
    this.#statements = new ChunkStatements(layout, corrects);
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
    const outcome = emptyOutcome();
    const trial = new Trial(this.#layout, options.patience);
    const limits = { itemsMax: options.chunkRows, sizeMax: CHUNK_CHARS };
    let pending = rows;
    while (pending.length > 0) {
      const run = { at: this.#at(options), outcome, trial, again: [] };
      const groups = collapse(pending, this.#compare);
      for (const chunk of chunks(groups, (group) => charsOf(group.newest), limits))
        await this.#writeChunk(session, chunk, run);
      pending = run.again;
    }
    trial.settle(outcome.written.size > 0);
    return outcome;
  }

  #at({ task, now }: WriteOptions): WrittenAt {
    const written = { now: encodeInstant(now) ?? "", encodeTime: encodeInstant };
    return { task, corrects: this.#corrects, ...written };
  }

  async #writeChunk(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    run: ChunkWrite,
  ): Promise<void> {
    const answer = await this.#tryChunk(session, groups, run);
    if (answer !== null && !(answer instanceof PostgresError))
      return this.#settle(groups, answer, run);
    const [only, ...others] = groups;
    if (answer !== null && run.trial.needsProbe(answer)) await this.#probe(session, run);
    if (only !== undefined && others.length === 0 && answer !== null)
      return refuse(only, answer, run);
    const half = groups.length >> 1;
    await this.#writeChunk(session, groups.slice(0, half), run);
    await this.#writeChunk(session, groups.slice(half), run);
  }

  #settle(
    groups: readonly KeyGroup[],
    { unchanged, dropped, losing }: ChunkAnswer,
    { outcome, again }: ChunkWrite,
  ): void {
    const isWhole = isWholeKey(this.#layout);
    for (const [i, group] of groups.entries())
      if (dropped.has(i)) {
        outcome.suppressed.add(group.newest.row.index);
        again.push(...group.rows.filter((row) => row !== group.newest));
      } else if (isWhole) settleWhole(group, outcome);
      else settle(group, { isWritten: !unchanged.has(i), losing }, outcome);
  }

  /**
   * The outcomes of the groups, or the refusal, after which nothing of the chunk is written. Null
   * means that nothing is written either, and that its rows must be asked for one by one.
   */
  async #tryChunk(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    { at, trial }: ChunkWrite,
  ): Promise<ChunkAnswer | PostgresError | null> {
    await session.query("SAVEPOINT chunk");
    try {
      const losing = await this.#statements.losing(session, groups, at);
      const answer = await this.#statements.upsert(session, groups, at);
      // A trigger may have put a constraint off again: at COMMIT no row could be named.
      await session.query(answer === null ? ROLLBACK_CHUNK : END_CHUNK);
      return answer && { ...answer, losing };
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      if (!trial.isAboutRows(error)) throw trial.asStop(error);
      await session.query(ROLLBACK_CHUNK);
      return error;
    }
  }

  async #probe(session: PostgresSession, { at, trial }: ChunkWrite): Promise<void> {
    trial.isProbed = true;
    try {
      await this.#statements.probe(session, at);
    } catch (error) {
      throw error instanceof PostgresError ? trial.asStop(error) : error;
    }
  }
}

const END_CHUNK = "SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT chunk";

const emptyOutcome = (): WrittenRows => ({
  written: new Set(),
  stale: new Set(),
  suppressed: new Set(),
  refused: [],
});

/** Whether a refused record has more rows than one. */
function hasSiblings(
  rows: readonly PreparedRow[],
  refused: ReadonlyMap<number, RefusedRow>,
): boolean {
  const of = rows.filter(({ row }) => refused.has(row.index));
  return of.length > new Set(of.map(({ row }) => row.index)).size;
}

interface ChunkWrite {
  readonly at: WrittenAt;
  readonly outcome: WrittenRows;
  readonly trial: Trial;
  /** Rows that were collapsed under one that is refused or dropped. */
  readonly again: PreparedRow[];
}

const charsOf = ({ texts }: PreparedRow): number =>
  texts.reduce((sum, text) => sum + (text?.length ?? 4), 0);

function refuse({ newest, rows }: KeyGroup, error: PostgresError, run: ChunkWrite): void {
  const { facts } = error;
  run.trial.refused(error, run.outcome.written.size > 0);
  const refusal = { code: facts.sqlState ?? "", message: facts.detail };
  run.outcome.refused.push({ row: newest.row, refusal });
  run.again.push(...rows.filter((row) => row !== newest));
}
