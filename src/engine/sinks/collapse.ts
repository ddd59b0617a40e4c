// The newest of all rows of a batch with the same primary key is written. The others fare as they would if they
// came one by one, so the ledger does not depend on where batches end. The order of the groups is the same in every worker,
// so two of them never wait for each other's row locks in a circle.
import { isDecimal } from "../core/decimal.ts";
import type { Correction } from "../core/plan.ts";
import type { TableLayout } from "../core/table-layout.ts";
import type { PreparedRow } from "./row-mapping.ts";

export interface KeyGroup {
  readonly key: string;
  /** The newest by (version, source offset); of one record's own rows the later. */
  readonly newest: PreparedRow;
  /** Every row of this key, the newest included. */
  readonly rows: readonly PreparedRow[];
  /** In order, those that are as new as all before them; the newest is the last. */
  readonly rising: readonly PreparedRow[];
}

/** Negative: `a` is older than `b`. */
export type CompareRows = (a: PreparedRow, b: PreparedRow) => number;

/** Compares by version alone. */
export function byVersion(layout: TableLayout): CompareRows {
  const { version } = layout;
  const encoding = version === null ? null : layout.columns[version]?.type.encoding;
  return (a, b) =>
    version === null
      ? a.row.timestamp - b.row.timestamp
      : encoding === "text"
        ? compareTexts(a.texts[version] ?? null, b.texts[version] ?? null)
        : compareValues(a.row.values[version], b.row.values[version]);
}

/** Compares rows of one topic by version, then by source offset, as the upsert's WHERE does. */
export function byAge(layout: TableLayout): CompareRows {
  const compareVersions = byVersion(layout);
  return (a, b) => compareVersions(a, b) || compareValues(a.row.offset, b.row.offset);
}

/** By UTF-8 bytes, as COLLATE "C"; null is older than everything (its row will be refused). */
function compareTexts(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function compareValues(a: unknown, b: unknown): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  if (isDecimal(a) && isDecimal(b)) return a.cmp(b);
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

/** Groups the rows by key, in the order of keys. */
export function collapse(rows: readonly PreparedRow[], compare: CompareRows): readonly KeyGroup[] {
  const groups = new Map<string, { key: string; rows: PreparedRow[]; rising: PreparedRow[] }>();
  for (const row of rows) {
    const group = groups.get(row.key);
    if (group === undefined) groups.set(row.key, { key: row.key, rows: [row], rising: [row] });
    else {
      group.rows.push(row);
      // mistake: wrong collapse
      if (compare(newestOf(group), row) <= 0) group.rising.push(row);
    }
  }
  // mistake: unsorted upsert
  const sorted = [...groups.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  return sorted.map((group) => ({ ...group, newest: newestOf(group) }));
}

const newestOf = ({ rising }: Pick<KeyGroup, "rising">): PreparedRow =>
  rising.at(-1) as PreparedRow;

/** Source indexes by what became of their rows. */
export interface RowOutcomes {
  readonly written: Set<number>;
  readonly stale: Set<number>;
}

/** The answer of the table about a group. */
export interface StoredVerdict {
  /** Whether the newest row is in the table now. */
  readonly isWritten: boolean;
  /** Rising rows that are no newer than the row before. */
  readonly losing: ReadonlySet<PreparedRow>;
}

/** Adds what became of each row of a group, as if they had come one by one. */
export function settle(
  { rows, rising }: KeyGroup,
  { isWritten, losing }: StoredVerdict,
  { written, stale }: RowOutcomes,
): void {
  const winners = new Set(isWritten ? rising.filter((row) => !losing.has(row)) : []);
  for (const one of rows) (winners.has(one) ? written : stale).add(one.row.index);
}

/** A row whose key is the whole row says what the stored one says: nothing loses. */
export function settleWhole({ rows }: KeyGroup, { written }: RowOutcomes): void {
  for (const { row } of rows) written.add(row.index);
}

/**
 * The offset that a run's row claims in the live table: see `Correction` in core/plan.ts.
 * It is the last one before the pinned end of the live topic, or the record's own where that is the live one's.
 */
export function writtenOffset(
  offset: bigint,
  { partition }: { readonly partition: number },
  corrects: Correction | undefined,
): bigint {
  const end = corrects?.ends?.[partition];
  return end === undefined ? offset : end - 1n;
}
