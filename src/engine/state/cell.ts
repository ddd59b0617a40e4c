// A key of a store in memory, and the changes of such keys that a checkpoint takes.
import type { StateChange, StateEntry } from "../core/state.ts";
import type { Change, KeyedStore } from "./keyed-store.ts";
import type { CacheShare } from "./task-stores.ts";

/** A key in memory. */
export interface Cell {
  readonly id: string;
  entry: StateEntry | null;
  /** Its bytes, as long as the copy may lack them; undefined as long as they are to be made. */
  value: Buffer | null | undefined;
  /** Number of the checkpoint that takes its newest change; 0 when the copy has it. */
  dirty: number;
  bytes: number;
  /** Asked for since the cache last looked for room. */
  isUsed: boolean;
}

/** The changes that a checkpoint writes to the changelog, one a key, in the order in which the copy gets them. */
export interface Sealed {
  readonly number: number;
  readonly cells: readonly Cell[];
  readonly changes: readonly StateChange[];
}

/** A cell, its entry and its place in the map, beside the bytes of key and value: measured with V8 13. */
export const CELL_BYTES: number = 220;

/** The copy has it. */
export function cleaned(cell: Cell): void {
  cell.dirty = 0;
  cell.value = null;
}

/** The cells of a store that the batch in hand has changed, as they were when it began. */
export function beforeBatch(store: KeyedStore, journal: readonly Change[]): Map<Cell, Change> {
  const before = new Map<Cell, Change>();
  for (const change of journal)
    if (change.store === store && !before.has(change.cell)) before.set(change.cell, change);
  return before;
}

/** Second chance: what was asked for since the last look stays, changes that the copy lacks always do. */
export function trimCells(
  cells: Map<string, Cell>,
  cache: CacheShare,
  isInHand: (id: string) => boolean,
): void {
  let looks = cells.size;
  for (const [id, cell] of cells) {
    if (!cache.isOver || looks-- === 0) return;
    cells.delete(id);
    // mistake: change evicted
    if (cell.dirty === 0 && !cell.isUsed && !isInHand(id)) {
      cache.add(-cell.bytes);
      continue;
    }
    cell.isUsed = false;
    cells.set(id, cell);
  }
}
