// A store of a task: entries in memory over a copy. Entries in memory are always the newest: changes of the batch in
// hand, of the checkpoint being filled, of the one on its way, and entries read at a position that this task applied.
// The order of a change: set → seal (into the changelog) → decided by Kafka → settle (into the copy) → clean.
import type { MillraceError } from "../core/errors.ts";
import type {
  DueStateKey,
  StateChange,
  StateCopy,
  StateEntry,
  StateKey,
  StoreView,
} from "../core/state.ts";
import type { CacheShare } from "./task-stores.ts";
import { applyPieces } from "./apply-pieces.ts";
import { beforeBatch, Cells, type Cell, type Sealed } from "./cell.ts";
import { checkIndex, DueKeys, lackedIn, type DueLimits } from "./due.ts";
import { countDamage, isDamaged, type Damages } from "./damage.ts";
import { decodedEntries, encodedIfLarge, type EntryBlame, type EntryCodec } from "./entry-codec.ts";

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
  /** Makes the copy anew from the changelog, since its content cannot be read; returns its position then. */
  discard(why: MillraceError): Promise<bigint>;
  readonly blame: EntryBlame;
  /** Resolves when the schemas of these values are known. */
  learn(values: readonly Buffer[]): Promise<void>;
  /** Resolves when the schemas of the records' keys of such entries are known. */
  learnKeys?(keys: readonly StateKey[]): Promise<void>;
}

export class KeyedStore implements StoreView {
  readonly #options: KeyedStoreOptions;
  readonly #cells: Cells;
  /** Changes since the last seal. */
  #dirty = new Set<Cell>();
  /** Changes of the checkpoint on its way: the copy may lack them. */
  #sealed: readonly Cell[] = [];
  #sealNumber = 1;
  /** Number of the last checkpoint that the copy has. */
  #settled = 0;
  /** The copy's position, as far as this task knows. */
  #position: bigint;
  readonly #dues = new DueKeys();
  #settling: Promise<void> | null = null;
  #repairing: Promise<void> | null = null;
  #isClosed = false;

  constructor(options: KeyedStoreOptions) {
    this.#options = options;
    this.#cells = new Cells(options.cache);
    // mistake: stale cache kept (2 of 3)
    this.#position = options.position;
  }

  get(key: StateKey): StateEntry | null {
    const cell = this.#cells.get(key.id);
    if (cell === undefined) {
      this.#cells.checkLoaded(key);
      return null;
    }
    cell.isUsed = true;
    return cell.entry;
  }

  add(key: StateKey): void {
    if (this.#cells.get(key.id) === undefined) this.#cells.insert(key, null, null);
  }

  /** Refuses an unwritable entry here, where it is one record's fault, and not when a checkpoint is due. */
  set(key: StateKey, entry: StateEntry | null): void {
    const cell = this.#cells.get(key.id) ?? this.#made(key);
    const value = entry === null ? null : encodedIfLarge(this.#options, cell.id, entry);
    const { entry: oldEntry, value: oldValue, dirty } = cell;
    this.#options.journal.push({ store: this, cell, entry: oldEntry, value: oldValue, dirty });
    cell.entry = entry;
    cell.value = value;
    cell.dirty = this.#sealNumber;
    this.#dirty.add(cell);
    this.dueAgain(entry?.dueMs ?? Infinity);
  }

  #made(key: StateKey): Cell {
    this.#cells.checkLoaded(key);
    return this.#cells.insert(key, null, null);
  }

  /** Takes a change back; the newest first. */
  undo({ cell, entry, value, dirty }: Change): void {
    cell.entry = entry;
    cell.value = value;
    // Its checkpoint may have reached the copy since.
    cell.dirty = dirty > this.#settled ? dirty : 0;
    if (dirty !== this.#sealNumber) this.#dirty.delete(cell);
    this.#dues.hasChanged();
    this.dueAgain(entry?.dueMs ?? Infinity);
  }

  /** Brings keys into memory, until `endBatch`; throws what the copy throws while it is away. */
  async load(keys: ReadonlyMap<string, StateKey>): Promise<void> {
    const damages = { count: 0 };
    let missing = this.#cells.missing(keys);
    if (this.#cells.mustAsk(missing)) {
      await this.#askLastDue(damages);
      missing = this.#cells.missing(keys);
    }
    this.#options.cache.count(keys.size - missing.length, missing.length);
    if (missing.length === 0) return;
    for (;;) {
      const values = await this.#read(missing, damages);
      const unknown = this.#options.codec.unknownIn(values);
      if (unknown.length > 0) {
        await this.#options.learn(unknown);
        continue;
      }
      const entries = await this.#unlessDamaged(damages, () =>
        decodedEntries(this.#options, missing, values),
      );
      if (entries === null) continue;
      missing.forEach((key, i) => this.#cells.insert(key, values[i] ?? null, entries[i] ?? null));
      return;
    }
  }

  /** Once the copy says so, entries that begin later than all of its dues are known to be in memory. */
  async #askLastDue(damages: Damages): Promise<void> {
    const last = await this.#unlessDamaged(damages, () => this.#options.copy.lastDue());
    // The copy may have moved on meanwhile: then the next load asks again.
    // mistake: last due read unchecked
    if (last?.nextOffset === this.#position) this.#cells.allFrom(last.dueMs);
  }

  /** The values of keys at the position that this task has left. */
  async #read(keys: readonly StateKey[], damages: Damages): Promise<readonly (Buffer | null)[]> {
    const { copy } = this.#options;
    const bytes = keys.map((key) => key.bytes);
    for (;;) {
      const read = await this.#unlessDamaged(damages, () => copy.read(bytes));
      if (read === null) continue;
      // Checked when used: another position means other values, perhaps of a copy that was lost or put back.
      // mistake: unchecked read
      if (read.nextOffset !== this.#position) {
        await (this.#settling ?? this.repair());
        continue;
      }
      return read.values;
    }
  }

  /** Null: the content of the copy cannot be read, so it was made anew. */
  async #unlessDamaged<T>(damages: Damages, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!isDamaged(error)) throw error;
      countDamage(damages, error);
      await (this.#settling ?? this.#repaired(() => this.#options.discard(error)));
      return null;
    }
  }

  /** Takes what finished batches have changed since the last time; null when that is nothing. */
  seal(): Sealed | null {
    const number = this.#sealNumber++;
    const inHand = beforeBatch(this, this.#options.journal);
    const cells: Cell[] = [];
    const changes: StateChange[] = [];
    for (const cell of this.#dirty) {
      const { entry, value: made, dirty } = inHand.get(cell) ?? cell;
      if (dirty === number) {
        const value = made === undefined ? this.#options.codec.encode(entry as StateEntry) : made;
        cells.push(cell);
        changes.push({ key: Buffer.from(cell.id, "latin1"), value, dueMs: entry?.dueMs ?? null });
        this.#cells.weigh(cell, value);
      }
    }
    // Changes of the batch in hand belong to the next checkpoint.
    this.#dirty = new Set(inHand.keys());
    for (const cell of inHand.keys()) cell.dirty = this.#sealNumber;
    this.#sealed = [...this.#unsettled(), ...cells];
    return changes.length === 0 ? null : { number, cells, changes };
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
    for (const cell of cells) if (cell.dirty === number) this.#cells.cleaned(cell);
    this.#dues.hasChanged();
    this.#settled = number;
    this.#sealed = this.#unsettled();
    this.trim();
  }

  async #apply(
    changes: readonly StateChange[],
    offsets: readonly bigint[],
    timeMs: number,
  ): Promise<boolean> {
    const end = await applyPieces(this.#options.copy, this.#position, { changes, offsets, timeMs });
    // A repair may have brought the copy further.
    if (end !== null && end > this.#position) this.#position = end;
    return end !== null;
  }

  /** Reads the changelog from the copy's position, which is not the one that this task left. Runs once at a time. */
  repair(): Promise<void> {
    return this.#repaired(() => this.#options.repair());
  }

  #repaired(work: () => Promise<bigint>): Promise<void> {
    this.#repairing ??= work()
      .then((position) => {
        this.#position = position;
        this.#dues.forget();
        this.#cells.forgetStart();
      })
      .finally(() => (this.#repairing = null));
    return this.#repairing;
  }

  /** A lower bound for the dues that no call of `due` has found yet: before it, nothing needs to be asked. */
  get nextDueMs(): number {
    return this.#dues.nextMs;
  }

  /** A key is due then, also where `due` has found it already. */
  dueAgain(dueMs: number): void {
    this.#dues.again(dueMs);
  }

  /** No key is due before. */
  dueDone(beforeMs: number): void {
    this.#dues.done(beforeMs);
  }

  /**
   * The first keys whose due lies before `beforeMs`, so many at most, in the order of due and key. Every change of a finished
   * batch counts, whether or not the copy has it. Throws what the copy throws while it is away.
   */
  async due(beforeMs: number, keysMax: number): Promise<readonly DueStateKey[]> {
    const limits = { beforeMs, keysMax };
    for (const damages = { count: 0 }; ;) {
      const lacked = lackedIn(this.#sealed, this.#dirty, this.#sealNumber);
      const merged = this.#dues.merged(this.#position, { cells: this.#cells, lacked }, limits);
      if (merged === null) {
        await this.#readIndex(limits, damages);
        continue;
      }
      // A question for all keys only counts them.
      const checked = keysMax === Infinity ? [] : merged.keys;
      if ((await this.#unlessDamaged(damages, () => this.#checkDue(checked))) === null) continue;
      // mistake: schema of a key not learnt
      await this.#options.learnKeys?.(checked);
      this.#dues.found(merged);
      return merged.keys;
    }
  }

  /** Reads on behind the keys of the index that are known. */
  async #readIndex({ beforeMs, keysMax }: DueLimits, damages: Damages): Promise<void> {
    const head = this.#dues.headAt(this.#position);
    const read = await this.#unlessDamaged(damages, () =>
      this.#options.copy.due(beforeMs, keysMax, head.keys.length),
    );
    if (read === null) return;
    // mistake: index read unchecked
    if (read.nextOffset !== this.#position) return void (await (this.#settling ?? this.repair()));
    // The copy may have moved on while the question was on its way.
    if (head === this.#dues.headAt(this.#position)) head.take(read);
  }

  /** An entry is due when it says so itself: by a false index an operator would forget what is not over. */
  async #checkDue(keys: readonly DueStateKey[]): Promise<void> {
    await this.load(new Map(keys.map((key) => [key.id, key])));
    // A task that was closed has let go what the copy may lack.
    if (!this.#isClosed) checkIndex(keys, (id) => this.#cells.get(id)?.entry?.dueMs);
  }

  #unsettled(): Cell[] {
    return this.#sealed.filter(({ dirty }) => dirty !== 0);
  }

  /** The batch in hand is done, and the cache may make room. */
  endBatch(): void {
    this.#cells.endBatch();
    this.trim();
  }

  /** Lets go what the copy has and nobody has asked for. */
  trim(): void {
    this.#cells.trim();
  }

  /** The task is gone; its share of the cache is free. */
  close(): void {
    this.#isClosed = true;
    this.#cells.close();
  }
}
