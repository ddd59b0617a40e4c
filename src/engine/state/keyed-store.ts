// A store of a task: entries in memory over a copy. Entries in memory are always the newest: changes of the batch in
// hand, of the checkpoint being filled, of the one on its way, and entries read at a position that this task applied.
// The order of a change: set → seal (into the changelog) → decided by Kafka → settle (into the copy) → clean.
import { assert, MillraceError } from "../core/errors.ts";
import type {
  DueStateKey,
  StateChange,
  StateCopy,
  StateEntry,
  StateKey,
  StoreView,
} from "../core/state.ts";
import { inPieces } from "../core/state-pieces.ts";
import type { CacheShare } from "./task-stores.ts";
import { CELL_BYTES, type Cell, type Sealed } from "./cell.ts";
import { mergeDue } from "./due.ts";
import type { EntryCodec } from "./entry-codec.ts";

/** The contents of a cell before a change. */
export interface Change {
  readonly store: KeyedStore;
  readonly cell: Cell;
  readonly entry: StateEntry | null;
  readonly value: Buffer | null | undefined;
  readonly dirty: number;
}

export interface KeyedStoreOptions {
  readonly codec: EntryCodec;
  /** The most bytes that the changelog takes in one record, key and value. */
  readonly changeBytesMax: number;
  readonly copy: StateCopy;
  /** The copy's position after the takeover. */
  readonly position: bigint;
  readonly cache: CacheShare;
  /** Changes of the batch in hand, of every store of the task. */
  readonly journal: Change[];
  /** Brings the copy up to the changelog's end, from wherever it is; returns its position then. */
  repair(): Promise<bigint>;
  /** Resolves when the schemas of these values are known. */
  learn(values: readonly Buffer[]): Promise<void>;
}

export class KeyedStore implements StoreView {
  readonly #options: KeyedStoreOptions;
  readonly #cells = new Map<string, Cell>();
  /** Changes since the last seal. */
  #dirty = new Set<Cell>();
  /** Changes of the checkpoint on its way: the copy may lack them. */
  #sealed: readonly Cell[] = [];
  #sealNumber = 1;
  /** Number of the last checkpoint that the copy has. */
  #settled = 0;
  /** Keys for which the batch in hand has asked, load by load: they stay until it is done. */
  #inHand: ReadonlyMap<string, StateKey>[] = [];
  /** The copy's position, as far as this task knows. */
  #position: bigint;
  #nextDueMs = -Infinity;
  #settling: Promise<void> | null = null;
  #repairing: Promise<void> | null = null;

  constructor(options: KeyedStoreOptions) {
    this.#options = options;
    // mistake: stale cache kept (2 of 3)
    this.#position = options.position;
  }

  get(key: StateKey): StateEntry | null {
    const cell = this.#cell(key);
    cell.isUsed = true;
    return cell.entry;
  }

  /** Refuses an unwritable entry here, where it is one record's fault, and not when a checkpoint is due. */
  set(key: StateKey, entry: StateEntry | null): void {
    const cell = this.#cell(key);
    const value = entry === null ? null : this.#encode(cell, entry);
    const { entry: oldEntry, value: oldValue, dirty } = cell;
    this.#options.journal.push({ store: this, cell, entry: oldEntry, value: oldValue, dirty });
    cell.entry = entry;
    cell.value = value;
    cell.dirty = this.#sealNumber;
    this.#dirty.add(cell);
    this.dueAgain(entry?.dueMs ?? Infinity);
  }

  /** Undefined for what can be written for certain: a checkpoint makes the bytes of the last change of a key only. */
  #encode({ id }: Cell, entry: StateEntry): Buffer | undefined {
    const { codec, changeBytesMax } = this.#options;
    if (id.length + (codec.bytesMax(entry) ?? Infinity) <= changeBytesMax) return undefined;
    const value = codec.encode(entry);
    const bytes = id.length + value.length;
    if (bytes <= changeBytesMax) return value;
    const limit = String(changeBytesMax);
    throw new MillraceError("MILL_RECORD_TOO_LARGE", `state of ${String(bytes)}, at most ${limit}`);
  }

  #cell({ id }: StateKey): Cell {
    const cell = this.#cells.get(id);
    assert(cell !== undefined, "a key was not loaded before its batch");
    return cell;
  }

  /** Takes a change back; the newest first. */
  undo({ cell, entry, value, dirty }: Change): void {
    cell.entry = entry;
    cell.value = value;
    // Its checkpoint may have reached the copy since.
    cell.dirty = dirty > this.#settled ? dirty : 0;
    if (dirty !== this.#sealNumber) this.#dirty.delete(cell);
    this.dueAgain(entry?.dueMs ?? Infinity);
  }

  /** Brings keys into memory, until `endBatch`; throws what the copy throws while it is away. */
  async load(keys: ReadonlyMap<string, StateKey>): Promise<void> {
    // mistake: first keys let go
    if (this.#inHand.at(-1) !== keys) this.#inHand.push(keys);
    const missing: StateKey[] = [];
    for (const key of keys.values()) if (!this.#cells.has(key.id)) missing.push(key);
    this.#options.cache.count(keys.size - missing.length, missing.length);
    if (missing.length === 0) return;
    const bytes = missing.map((key) => key.bytes);
    for (;;) {
      const { nextOffset, values } = await this.#options.copy.read(bytes);
      // Checked when used: another position means other values, perhaps of a copy that was lost or put back.
      // mistake: unchecked read
      if (nextOffset !== this.#position) {
        await (this.#settling ?? this.repair());
        continue;
      }
      const unknown = values.filter(
        (value) => value !== null && this.#options.codec.unknownId(value) !== null,
      );
      if (unknown.length > 0) {
        await this.#options.learn(unknown as Buffer[]);
        continue;
      }
      missing.forEach((key, i) => this.#insert(key, values[i] ?? null));
      return;
    }
  }

  /** The key is kept as a text: the bytes are a slice of their fetch, which they would keep alive whole. */
  #insert({ id, bytes: key }: StateKey, value: Buffer | null): void {
    const entry = value === null ? null : this.#options.codec.decode(key, value);
    const bytes = CELL_BYTES + id.length + (value?.length ?? 0);
    this.#cells.set(id, { id, entry, value: null, dirty: 0, bytes, isUsed: true });
    this.#options.cache.add(bytes);
  }

  /** Takes what finished batches have changed since the last time; null when that is nothing. */
  seal(): Sealed | null {
    const number = this.#sealNumber++;
    const inHand = this.#beforeBatch();
    const cells: Cell[] = [];
    const changes: StateChange[] = [];
    for (const cell of this.#dirty) {
      const { entry, value: made, dirty } = inHand.get(cell) ?? cell;
      if (dirty === number) {
        const value = made === undefined ? this.#options.codec.encode(entry as StateEntry) : made;
        cells.push(cell);
        const dueMs = entry === null ? null : entry.dueMs;
        changes.push({ key: Buffer.from(cell.id, "latin1"), value, dueMs });
        this.#weigh(cell, value);
      }
    }
    // Changes of the batch in hand belong to the next checkpoint.
    this.#dirty = new Set(inHand.keys());
    for (const cell of inHand.keys()) cell.dirty = this.#sealNumber;
    this.#sealed = [...this.#unsettled(), ...cells];
    return changes.length === 0 ? null : { number, cells, changes };
  }

  /** The cells that the batch in hand has changed, as they were when it began. */
  #beforeBatch(): Map<Cell, Change> {
    const before = new Map<Cell, Change>();
    for (const change of this.#options.journal)
      if (change.store === this && !before.has(change.cell)) before.set(change.cell, change);
    return before;
  }

  #weigh(cell: Cell, value: Buffer | null): void {
    const bytes = CELL_BYTES + cell.id.length + (value?.length ?? 0);
    this.#options.cache.add(bytes - cell.bytes);
    cell.bytes = bytes;
  }

  /**
   * The checkpoint with these changes was decided; `offsets` are theirs in the changelog, or null where the broker did not
   * say. Throws what the copy throws while it is away, and may then be called again.
   */
  settle(sealed: Sealed, offsets: readonly bigint[] | null, timeMs: number): Promise<void> {
    this.#settling = this.#settle(sealed, offsets, timeMs).finally(() => (this.#settling = null));
    return this.#settling;
  }

  async #settle(
    { number, cells, changes }: Sealed,
    offsets: readonly bigint[] | null,
    timeMs: number,
  ): Promise<void> {
    // A repair that began before the decision may end without these changes, so it is waited for and does not count. If
    // it fails, the copy still knows its position.
    await this.#repairing?.catch(() => undefined);
    const isApplied = offsets !== null && (await this.#apply(changes, offsets, timeMs));
    if (!isApplied) await this.repair();
    for (const cell of cells)
      if (cell.dirty === number) Object.assign(cell, { dirty: 0, value: null });
    this.#settled = number;
    this.#sealed = this.#unsettled();
    this.trim();
  }

  /**
   * Applies changes in pieces, in the order of the changelog, each from the end of the one before; all on their way at
   * once. Pieces that a repair has brought to the copy meanwhile are left out.
   */
  async #apply(
    changes: readonly StateChange[],
    offsets: readonly bigint[],
    timeMs: number,
  ): Promise<boolean> {
    const { copy } = this.#options;
    let expected = this.#position;
    const pieces: Promise<string>[] = [];
    let taken = 0;
    for (const piece of inPieces(changes)) {
      taken += piece.length;
      const target = { nextOffset: (offsets[taken - 1] as bigint) + 1n, timeMs };
      if (target.nextOffset <= expected) continue;
      pieces.push(copy.apply({ expected, target, changes: piece }));
      expected = target.nextOffset;
    }
    const settled = await Promise.allSettled(pieces);
    for (const piece of settled) if (piece.status === "rejected") throw piece.reason;
    if (settled.some((piece) => piece.status === "fulfilled" && piece.value === "refused"))
      return false;
    // A repair may have brought the copy further.
    if (expected > this.#position) this.#position = expected;
    return true;
  }

  /** Reads the changelog from the copy's position, which is not the one that this task left. Runs once at a time. */
  repair(): Promise<void> {
    this.#repairing ??= this.#options
      .repair()
      .then((position) => void (this.#position = position))
      .finally(() => (this.#repairing = null));
    return this.#repairing;
  }

  /** A lower bound for the dues that no call of `due` has found yet: before it, nothing needs to be asked. */
  get nextDueMs(): number {
    return this.#nextDueMs;
  }

  /** A key is due then, also where `due` has found it already. */
  dueAgain(dueMs: number): void {
    this.#nextDueMs = Math.min(this.#nextDueMs, dueMs);
  }

  /**
   * The first keys whose due lies before `beforeMs`, so many at most, in the order of due and key. Every change of a finished
   * batch counts, whether or not the copy has it. Throws what the copy throws while it is away.
   */
  async due(beforeMs: number, keysMax: number): Promise<readonly DueStateKey[]> {
    for (let asked = keysMax; ;) {
      const { nextOffset, keys, nextMs } = await this.#options.copy.due(beforeMs, asked);
      // mistake: index read unchecked
      if (nextOffset !== this.#position) {
        await (this.#settling ?? this.repair());
        continue;
      }
      const merged = mergeDue({ keys, nextMs }, this.#lacked(), { beforeMs, keysMax });
      if (merged !== null) {
        this.#nextDueMs = merged.nextMs;
        return merged.keys;
      }
      asked *= 2;
    }
  }

  #unsettled(): Cell[] {
    return this.#sealed.filter(({ dirty }) => dirty !== 0);
  }

  /** Changes that the copy may lack. */
  *#lacked(): Iterable<Cell> {
    yield* this.#unsettled();
    // mistake: changes in memory not due
    for (const cell of this.#dirty) if (cell.dirty === this.#sealNumber) yield cell;
  }

  /** The batch in hand is done, and the cache may make room. */
  endBatch(): void {
    this.#inHand = [];
    this.trim();
  }

  /** Second chance: what was asked for since the last look stays, changes that the copy lacks always do. */
  trim(): void {
    const { cache } = this.#options;
    if (!cache.isOver) return;
    let looks = this.#cells.size;
    for (const [id, cell] of this.#cells) {
      if (!cache.isOver || looks-- === 0) return;
      this.#cells.delete(id);
      // mistake: change evicted
      if (cell.dirty === 0 && !cell.isUsed && !this.#isInHand(id)) {
        cache.add(-cell.bytes);
        continue;
      }
      cell.isUsed = false;
      this.#cells.set(id, cell);
    }
  }

  #isInHand(id: string): boolean {
    return this.#inHand.some((keys) => keys.has(id));
  }

  /** The task is gone; its share of the cache is free. */
  close(): void {
    // mistake: stale cache kept (3 of 3)
    this.#cells.clear();
    this.#options.cache.close();
  }
}
