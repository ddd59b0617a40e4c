// A table in Postgres with progress beside it: rows, pending letters and progress commit in one transaction, under the fence
// of the owner's epoch and the expected offset. Retrying what is transient is left to the caller, except conflicts
// between transactions, which are settled by trying again at once.
import { CommitUnknownError, PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresPool, PostgresSession } from "../../clients/postgres/pool.ts";
import { FencedError } from "../../core/errors.ts";
import { emptyLedger } from "../../core/ledger.ts";
import type { Correction } from "../../core/plan.ts";
import type {
  Clock,
  PendingLetter,
  SinkCommit,
  SinkProgress,
  SinkResult,
  SinkTaskId,
  TableStore,
} from "../../core/ports.ts";
import { addressOf } from "../../core/record.ts";
import { layoutOf, type TableSpec } from "../../core/table-layout.ts";
import { forgetLetters, insertLetters, readLetters } from "./outbox.ts";
import { advanceProgress, raiseEpoch, readProgress, startProgress } from "./progress-row.ts";
import { rowPreparation, type PrepareRows } from "../row-mapping.ts";
import { encodeInstant, RowWriter } from "./row-writer.ts";
import { isSame, Persistence } from "./persistence.ts";
import type { TrialPatience } from "./trial.ts";

interface TableStoreOptions {
  readonly clock: Clock;
  /** Most rows of one statement. Halved after a statement timeout, doubled again by success. */
  readonly chunkRowsMax?: number;
  /** Set for a run that writes into the live table. */
  readonly corrects?: Correction | undefined;
}

const CHUNK_ROWS_MAX = 5_000;
const CHUNK_ROWS_MIN = 50;

/** The store of one declared table. Throws ConfigErrors when the declaration cannot be a table. */
export function postgresTableStore(
  pool: PostgresPool,
  table: TableSpec,
  options: TableStoreOptions,
): TableStore {
  return new PostgresTableStore(pool, table, options);
}

class PostgresTableStore implements TableStore {
  readonly #pool: PostgresPool;
  readonly #clock: Clock;
  readonly #prepare: PrepareRows;
  readonly #writer: RowWriter;
  readonly #chunkRowsMax: number;
  #chunkRows: number;
  readonly #persistence = new Persistence();
  /** Commits whose outcome could not be read yet, by task. */
  readonly #unsettled = new Map<string, { commit: SinkCommit; result: SinkResult }>();

  constructor(pool: PostgresPool, table: TableSpec, options: TableStoreOptions) {
    const layout = layoutOf(table);
    this.#pool = pool;
    this.#clock = options.clock;
    this.#prepare = rowPreparation(layout);
    this.#writer = new RowWriter(layout, options.corrects);
    this.#chunkRowsMax = options.chunkRowsMax ?? CHUNK_ROWS_MAX;
    this.#chunkRows = this.#chunkRowsMax;
  }

  async takeOver(task: SinkTaskId, start: () => Promise<bigint>): Promise<SinkProgress> {
    this.#unsettled.delete(keyOf(task));
    const raised = await raiseEpoch(this.#pool, task, this.#now());
    if (raised !== null) return raised;
    const first = { nextOffset: await start(), ledger: emptyLedger(), now: this.#now() };
    return startProgress(this.#pool, task, first, false);
  }

  async reset(task: SinkTaskId, nextOffset: bigint): Promise<SinkProgress> {
    const start = { nextOffset, ledger: emptyLedger(), now: this.#now() };
    return startProgress(this.#pool, task, start, true);
  }

  async progress(task: SinkTaskId): Promise<SinkProgress | null> {
    return readProgress(this.#pool, task);
  }

  async pendingLetters(task: SinkTaskId, lettersMax: number): Promise<readonly PendingLetter[]> {
    return readLetters(this.#pool, task, lettersMax);
  }

  async forget(task: SinkTaskId, ids: readonly string[]): Promise<void> {
    await forgetLetters(this.#pool, task, ids);
  }

  async commit(commit: SinkCommit): Promise<SinkResult> {
    const earlier = await this.#settle(commit);
    if (earlier !== null) return earlier;
    const key = keyOf(commit.task);
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await this.#attempt(commit, this.#persistence.patience(key, commit));
        this.#chunkRows = Math.min(this.#chunkRowsMax, this.#chunkRows * 2);
        this.#persistence.forget(key);
        return result;
      } catch (error) {
        if (!(error instanceof PostgresError)) throw error;
        if (error.facts.sqlState === "57014") this.#chunkRows = halved(this.#chunkRows);
        if (!this.#persistence.isTriedAgain(key, error, attempt)) throw error;
      }
    }
  }

  async #attempt(commit: SinkCommit, patience: TrialPatience): Promise<SinkResult> {
    // mistake: progress first (1 of 2)
    let result: SinkResult | null = null;
    try {
      return await this.#pool.transaction(
        async (session) => (result = await this.#write(session, commit, patience)),
      );
    } catch (error) {
      if (!(error instanceof CommitUnknownError) || result === null) throw error;
      this.#unsettled.set(keyOf(commit.task), { commit, result });
      const settled = await this.#settle(commit);
      if (settled !== null) return settled;
      throw error;
    }
  }

  /** Numbered as in the sink commit: 1 collapse, 2 rows, letters and progress; 3 to 5 are the caller's. */
  async #write(
    session: PostgresSession,
    commit: SinkCommit,
    patience: TrialPatience,
  ): Promise<SinkResult> {
    const { task } = commit;
    const now = this.#clock.now();
    const { prepared, refused } = this.#prepare(commit.rows);
    const options = { task: commit.origin ?? task, now, chunkRows: this.#chunkRows, patience };
    const outcome = await this.#writer.write(session, prepared, options, refused);
    const letters = outcome.refused.map(({ row, refusal }) => commit.refused(row, refusal));
    const result: SinkResult = {
      written: outcome.written,
      stale: outcome.stale,
      suppressed: outcome.suppressed,
      refused: new Set(outcome.refused.map(({ row }) => row.index)),
    };
    const states = commit.outcomes?.(result) ?? [];
    const pending = [...commit.letters, ...letters, ...states];
    await ofOurs(() => insertLetters(session, task, pending));
    const ledger = commit.ledger(result);
    const moved = { ledger, now: this.#now() };
    // mistake: progress first (2 of 2)
    const isOurs = await ofOurs(() => advanceProgress(session, commit, moved));
    if (!isOurs) throw fenced(commit);
    return result;
  }

  /**
   * The result of this very commit when an earlier call lost its reply and it was committed after all. Null: it was not,
   * so it may be sent again.
   */
  async #settle(commit: SinkCommit): Promise<SinkResult | null> {
    const key = keyOf(commit.task);
    const unsettled = this.#unsettled.get(key);
    if (unsettled === undefined || !isSame(unsettled.commit, commit)) return null;
    // Stays unsettled when this throws because Postgres is away.
    const stored = await readProgress(this.#pool, commit.task, true);
    this.#unsettled.delete(key);
    if (stored?.epoch !== commit.epoch) throw fenced(commit);
    if (stored.nextOffset === commit.expectedOffset) return null;
    if (stored.nextOffset === commit.nextOffset) return unsettled.result;
    throw fenced(commit);
  }

  #now(): string {
    return encodeInstant(this.#clock.now()) ?? "";
  }
}

/** A statement over our own tables: whatever refuses it, no row of the user's is at fault. */
async function ofOurs<R>(work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    const isRow = error instanceof PostgresError && error.facts.fault === "row";
    throw isRow ? error.asStop("in a table of the schema millrace") : error;
  }
}

const keyOf = (task: SinkTaskId): string =>
  JSON.stringify([task.pipeline, task.part, task.topic, task.partition]);

const halved = (rows: number): number =>
  Math.max(Math.min(CHUNK_ROWS_MIN, rows), Math.floor(rows / 2));

const fenced = ({ task, epoch, expectedOffset }: SinkCommit): FencedError =>
  new FencedError(
    "MILL_SINK_FENCED",
    `expected epoch ${String(epoch)} and next offset ${String(expectedOffset)} at ${addressOf(task)}`,
    { where: task },
  );
