// A table in memory: it decides which rows of a batch it takes, which are older than its own, which it refuses.
import type { Correction } from "../../core/plan.ts";
import { isWholeKey, layoutOf, type TableLayout, type TableSpec } from "../../core/table-layout.ts";
import type { RowRefusal, SinkResult, SinkRow } from "../../core/ports.ts";
import type { TopicPartition } from "../../core/record.ts";
import {
  byAge,
  byVersion,
  collapse,
  type CompareRows,
  type KeyGroup,
  type RowOutcomes,
  settle,
  settleWhole,
  writtenOffset,
} from "../../sinks/collapse.ts";
import {
  rowMapper,
  rowPreparation,
  type PreparedRow,
  type PrepareRows,
  type RefusedRow,
} from "../../sinks/row-mapping.ts";

/** A declared table, or a plan's. */
export interface MemoryTableSpec extends TableSpec {
  readonly rows?: () => Iterable<unknown>;
}
export type RowObject = Readonly<Record<string, unknown>>;
export type RefuseRow = (row: RowObject) => RowRefusal | null;

/** A row with the place that it says it comes from. */
interface StoredRow {
  readonly row: PreparedRow;
  /** Null: declared. */
  readonly topic: string | null;
  readonly offset: bigint;
}

/** The task of a batch, and whether the batch corrects the table. */
export interface TableBatchOrigin {
  readonly task: TopicPartition;
  readonly corrects: Correction | undefined;
  readonly refuse: RefuseRow;
}

/** The effect of a batch. Nothing is changed before `apply`. */
interface TableChange {
  readonly result: SinkResult;
  readonly refused: readonly RefusedRow[];
  apply(): void;
}

export class MemoryTable {
  readonly name: string;
  readonly #layout: TableLayout;
  readonly #prepare: PrepareRows;
  readonly #compare: CompareRows;
  readonly #compareVersions: CompareRows;
  readonly #rows = new Map<string, StoredRow>();

  constructor(table: MemoryTableSpec) {
    this.name = table.name;
    this.#layout = layoutOf(table);
    this.#prepare = rowPreparation(this.#layout);
    this.#compare = byAge(this.#layout);
    this.#compareVersions = byVersion(this.#layout);
    this.#seed(table);
  }

  rows(): readonly RowObject[] {
    const sorted = [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([, { row }]) => this.#objectOf(row.row));
  }

  plan(rows: readonly SinkRow[], origin: TableBatchOrigin): TableChange {
    const { prepared, refused: unfit } = this.#prepare(rows);
    const { groups, refused } = this.#accepted(prepared, unfit, origin.refuse);
    const isNewer = ({ key, newest }: KeyGroup): boolean => {
      const stored = this.#rows.get(key);
      return stored === undefined || this.#isNewer(stored, storedAt(newest, origin), origin);
    };
    const newer = groups.filter(isNewer);
    const outcomes: RowOutcomes = { written: new Set(), stale: new Set() };
    for (const group of groups)
      if (isWholeKey(this.#layout)) settleWhole(group, outcomes);
      else
        settle(group, { isWritten: isNewer(group), losing: this.#losing(group, origin) }, outcomes);
    return {
      result: { ...outcomes, refused: new Set(refused.map(({ row }) => row.index)) },
      refused,
      apply: () =>
        newer.forEach(({ key, newest }) => this.#rows.set(key, storedAt(newest, origin))),
    };
  }

  /** Rising rows that are no newer than the stored one. */
  #losing({ key, rising }: KeyGroup, origin: TableBatchOrigin): ReadonlySet<PreparedRow> {
    const stored = this.#rows.get(key);
    if (stored === undefined) return new Set();
    return new Set(rising.filter((row) => !this.#isNewer(stored, storedAt(row, origin), origin)));
  }

  /** As the WHERE of the upsert. */
  #isNewer(stored: StoredRow, given: StoredRow, { corrects }: TableBatchOrigin): boolean {
    const order = this.#compareVersions(stored.row, given.row);
    if (order !== 0) return order < 0;
    if (stored.topic !== given.topic) return true;
    return corrects === undefined ? stored.offset < given.offset : stored.offset <= given.offset;
  }

  /** Rows that are declared, and older than any record. */
  #seed(table: MemoryTableSpec): void {
    const map = rowMapper(table);
    const rows = [...(table.rows?.() ?? [])].map((object): SinkRow => ({
      values: map(object),
      index: -1,
      offset: -1n,
      timestamp: -Infinity,
    }));
    for (const row of this.#prepare(rows).prepared)
      this.#rows.set(row.key, { row, topic: null, offset: row.row.offset });
  }

  /**
   * A refused row may hide an earlier one of its key, which must then be tried, and takes the other rows of its record with
   * it: so again until none is refused.
   */
  #accepted(
    prepared: readonly PreparedRow[],
    unfit: readonly RefusedRow[],
    refuse: RefuseRow,
  ): { readonly groups: readonly KeyGroup[]; readonly refused: readonly RefusedRow[] } {
    const refused = new Map(unfit.map((one) => [one.row.index, one]));
    for (;;) {
      const left = prepared.filter(({ row }) => !refused.has(row.index));
      const groups = collapse(left, this.#compare);
      const before = refused.size;
      for (const { newest } of groups) {
        const refusal = this.#misfit(newest) ?? refuse(this.#objectOf(newest.row));
        if (refusal !== null) refused.set(newest.row.index, { row: newest.row, refusal });
      }
      if (refused.size > before) continue;
      const all = [...refused.values()].sort((a, b) => a.row.index - b.row.index);
      return { groups, refused: all };
    }
  }

  /** The refusals that Postgres makes for any table. */
  #misfit({ texts }: PreparedRow): RowRefusal | null {
    for (const [i, { name, nullable }] of this.#layout.columns.entries()) {
      const text = texts[i] ?? null;
      if (text === null && !nullable) return { code: "23502", message: `${name} must not be null` };
      if (text?.includes("\0") === true)
        return { code: "22021", message: `${name} contains the character 0` };
    }
    return null;
  }

  #objectOf(row: SinkRow): RowObject {
    return Object.fromEntries(this.#layout.columns.map(({ field }, i) => [field, row.values[i]]));
  }
}

const storedAt = (row: PreparedRow, { task, corrects }: TableBatchOrigin): StoredRow => ({
  row,
  topic: corrects?.topic ?? task.topic,
  offset: writtenOffset(row.row.offset, task, corrects),
});
