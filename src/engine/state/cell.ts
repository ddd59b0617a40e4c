// The keys of a store in memory, and the changes of such keys that a checkpoint takes.
import { assert } from "../core/errors.ts";
import type { StateChange, StateEntry, StateKey } from "../core/state.ts";
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
  /** That of its key; -Infinity where nobody knows, so that it begins before all that is known. */
  readonly startMs: number;
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
const CELL_BYTES: number = 220;

/** The cells of a store that the batch in hand has changed, as they were when it began. */
export function beforeBatch(store: KeyedStore, journal: readonly Change[]): Map<Cell, Change> {
  const before = new Map<Cell, Change>();
  for (const change of journal)
    if (change.store === store && !before.has(change.cell)) before.set(change.cell, change);
  return before;
}

/**
 * The keys of a store that are in memory, within its share of the cache. Of windows and buckets it knows from which time on all
 * of them are: those that begin later and are not here are nowhere. It holds as long as this task alone changes the store, since
 * what is due at last in the copy begins before its due, and what began behind that was made here.
 */
export class Cells {
  readonly #cells = new Map<string, Cell>();
  readonly #cache: CacheShare;
  /** Keys for which the batch in hand has asked, load by load: they stay until it is done. */
  #inHand: ReadonlyMap<string, StateKey>[] = [];
  /** Every entry whose key begins later is here; Infinity while nobody knows. */
  #allFromMs = Infinity;

  constructor(cache: CacheShare) {
    this.#cache = cache;
  }

  get(id: string): Cell | undefined {
    return this.#cells.get(id);
  }

  /** The keys of a load that must be read. */
  missing(keys: ReadonlyMap<string, StateKey>): StateKey[] {
    // mistake: first keys let go
    if (this.#inHand.at(-1) !== keys) this.#inHand.push(keys);
    const missing: StateKey[] = [];
    for (const key of keys.values())
      if (!this.#cells.has(key.id) && !this.#isNowhere(key)) missing.push(key);
    return missing;
  }

  #isNowhere({ startMs }: StateKey): boolean {
    return startMs !== undefined && startMs > this.#allFromMs;
  }

  /** Whether the copy must say what is due at last before these are known to be nowhere. */
  mustAsk(keys: readonly StateKey[]): boolean {
    return this.#allFromMs === Infinity && keys.some(({ startMs }) => startMs !== undefined);
  }

  /** Nothing in the copy is due later; null: nothing in it is due. */
  allFrom(lastDueMs: number | null): void {
    // mistake: old windows taken for new
    this.#allFromMs = lastDueMs ?? -Infinity;
  }

  /** The copy was made anew, or moved on by others. */
  forgetStart(): void {
    this.#allFromMs = Infinity;
  }

  /** A key that the batch in hand has loaded, and that has no entry. */
  checkLoaded({ id }: StateKey): void {
    for (const keys of this.#inHand) if (keys.has(id)) return;
    assert(false, "a key was not loaded before its batch");
  }

  /** The key is kept as a text: the bytes are a slice of their fetch, which they would keep alive whole. */
  insert(
    { id, startMs = -Infinity }: StateKey,
    value: Buffer | null,
    entry: StateEntry | null,
  ): Cell {
    const bytes = CELL_BYTES + id.length + (value?.length ?? 0);
    const cell = { id, entry, value: null, dirty: 0, bytes, startMs, isUsed: true };
    this.#cells.set(id, cell);
    this.#cache.add(bytes);
    return cell;
  }

  weigh(cell: Cell, value: Buffer | null): void {
    const bytes = CELL_BYTES + cell.id.length + (value?.length ?? 0);
    this.#cache.add(bytes - cell.bytes);
    cell.bytes = bytes;
  }

  /** The copy has it. */
  cleaned(cell: Cell): void {
    cell.dirty = 0;
    cell.value = null;
    // A deleted one that is known to be nowhere needs no place.
    if (cell.entry === null && cell.startMs > this.#allFromMs) this.#drop(cell);
  }

  #drop({ id, bytes }: Cell): void {
    if (this.#cells.delete(id)) this.#cache.add(-bytes);
  }

  /** The batch in hand is done. */
  endBatch(): void {
    this.#inHand = [];
  }

  /** Second chance: what was asked for since the last look stays, changes that the copy lacks always do. */
  trim(): void {
    const isInHand = (id: string): boolean => this.#inHand.some((keys) => keys.has(id));
    let looks = this.#cells.size;
    for (const [id, cell] of this.#cells) {
      if (!this.#cache.isOver || looks-- === 0) return;
      this.#cells.delete(id);
      // mistake: change evicted
      if (cell.dirty === 0 && !cell.isUsed && !isInHand(id)) {
        this.#cache.add(-cell.bytes);
        // mistake: evicted window taken for new
        if (cell.entry !== null) this.#allFromMs = Math.max(this.#allFromMs, cell.startMs);
        continue;
      }
      cell.isUsed = false;
      this.#cells.set(id, cell);
    }
  }

  /** The share of the cache is free. */
  close(): void {
    // mistake: stale cache kept (3 of 3)
    this.#cells.clear();
    this.#inHand = [];
    this.#cache.close();
  }
}
