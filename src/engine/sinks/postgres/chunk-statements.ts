// The statements over one chunk of rows, inside a savepoint that the caller has set: what became of each row is returned by
// comparing what was stored before, what changed, and what is there now.
import { PostgresError } from "../../clients/postgres/fault.ts";
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import type { Correction } from "../../core/plan.ts";
import { isWholeKey, type TableLayout } from "../../core/table-layout.ts";
import type { KeyGroup } from "../collapse.ts";
import type { PreparedRow } from "../row-mapping.ts";
import {
  comparedValues,
  comparingStatement,
  upsertStatement,
  upsertValues,
  type UnchangedRow,
  type WrittenAt,
} from "./upsert-statement.ts";

export const ROLLBACK_CHUNK = "ROLLBACK TO SAVEPOINT chunk; RELEASE SAVEPOINT chunk";

/** The answer of the database about a chunk. */
export interface ChunkAnswer {
  /** Positions of the groups whose newest row changed nothing. */
  readonly unchanged: ReadonlySet<number>;
  /** Positions of the groups among them whose row a trigger has dropped. */
  readonly dropped: ReadonlySet<number>;
  readonly losing: ReadonlySet<PreparedRow>;
}

export class ChunkStatements {
  readonly #layout: TableLayout;
  readonly #statement: string;
  readonly #comparing: string;

  constructor(layout: TableLayout, corrects?: Correction) {
    this.#layout = layout;
    this.#statement = upsertStatement(layout, corrects);
    this.#comparing = comparingStatement(layout, corrects);
  }

  /** Null: it is not plain what became of them, and nothing of it may stay. */
  async upsert(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    at: WrittenAt,
  ): Promise<Omit<ChunkAnswer, "losing"> | null> {
    const newest = groups.map((group) => group.newest);
    const values = upsertValues(this.#layout, newest, at);
    const { rows } = await session.query<UnchangedRow>(this.#statement, values);
    const unchanged = new Set(rows.map(({ position }) => position));
    const missing = rows.filter(({ isStale }) => !isStale).map(({ position }) => position);
    if (missing.length === 0) return { unchanged, dropped: new Set() };
    // A trigger has given rows another key: then they are not missing.
    const renamed = (rows[0]?.changed ?? 0) - (groups.length - rows.length);
    if (renamed > 0 && renamed < missing.length) return null;
    if (renamed > 0) {
      for (const position of missing) unchanged.delete(position);
      return { unchanged, dropped: new Set() };
    }
    // Somebody else may have written a newer one this very moment.
    const asked = missing.map((position) => newest[position] as PreparedRow);
    const again = comparedValues(this.#layout, asked, at);
    const found = await session.query<{ position: number }>(this.#comparing, again);
    const stale = new Set(found.rows.map(({ position }) => missing[position]));
    return { unchanged, dropped: new Set(missing.filter((position) => !stale.has(position))) };
  }

  /** The statement without rows: names, rights, rules and triggers of the statement are looked at all the same. */
  async probe(session: PostgresSession, at: WrittenAt): Promise<void> {
    await session.query("SAVEPOINT chunk");
    await session.query(this.#statement, upsertValues(this.#layout, [], at));
    await session.query(ROLLBACK_CHUNK);
  }

  /**
   * Rising rows under the newest that are no newer than what is stored. If a group's first is newer, so are all behind
   * it: mostly one row a group is asked for, and none where all keys of the chunk differ.
   */
  async losing(
    session: PostgresSession,
    groups: readonly KeyGroup[],
    at: WrittenAt,
  ): Promise<ReadonlySet<PreparedRow>> {
    const rising = groups
      .map((group) => group.rising.slice(0, -1))
      .filter(({ length }) => length > 0);
    if (rising.length === 0 || isWholeKey(this.#layout)) return new Set();
    const firsts = rising.map(([first]) => first as PreparedRow);
    // mistake: written by batch
    const losing = new Set(await this.#compared(session, firsts, at));
    const rest = rising.flatMap(([first, ...others]) =>
      losing.has(first as PreparedRow) ? others : [],
    );
    const more = rest.length === 0 ? [] : await this.#compared(session, rest, at);
    return new Set([...losing, ...more]);
  }

  /** A row that cannot be compared is none of them: only a newer row saved it from refusal. */
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
