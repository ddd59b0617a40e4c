// The stores of one task, with one journal: a batch changes all of them or none. The memory of all stores of a worker
// is bounded in bytes, shared evenly among those that are open.
import { assert } from "../core/errors.ts";
import type { Labels, Meter } from "../core/ports.ts";
import type { DueStateKey, StateKey, StoreView, TaskStores } from "../core/state.ts";
import type { Change, KeyedStore } from "./keyed-store.ts";

/** Runs again for as long as the copies are away. */
export type Patiently = <T>(work: () => Promise<T>) => Promise<T>;

const NONE: readonly DueStateKey[] = Object.freeze([]);

export class OpenStores implements TaskStores {
  /** Handed to every store of the task. */
  readonly journal: Change[];
  readonly #stores: ReadonlyMap<string, KeyedStore>;
  readonly #patiently: Patiently;

  constructor(stores: ReadonlyMap<string, KeyedStore>, journal: Change[], patiently: Patiently) {
    this.#stores = stores;
    this.journal = journal;
    this.#patiently = patiently;
  }

  store(name: string): KeyedStore {
    const store = this.#stores.get(name);
    assert(store !== undefined, `the task has no store ${name}`);
    return store;
  }

  view(name: string): StoreView {
    return this.store(name);
  }

  load(name: string, keys: ReadonlyMap<string, StateKey>): Promise<void> {
    return this.#patiently(() => this.store(name).load(keys));
  }

  mark(): number {
    return this.journal.length;
  }

  rollback(mark: number): void {
    for (const change of this.journal.splice(mark).reverse()) change.store.undo(change);
  }

  nextDueMs(name: string): number {
    return this.store(name).nextDueMs;
  }

  due(name: string, beforeMs: number, keysMax: number): Promise<readonly DueStateKey[]> {
    return this.#patiently(() => this.store(name).due(beforeMs, keysMax));
  }

  dueAgain(name: string, dueMs: number): void {
    this.store(name).dueAgain(dueMs);
  }

  dueDone(name: string, beforeMs: number): void {
    this.store(name).dueDone(beforeMs);
  }

  dueSince(mark: number, name: string, beforeMs: number): readonly DueStateKey[] {
    if (mark === this.journal.length) return NONE;
    const store = this.store(name);
    const due: DueStateKey[] = [];
    for (let at = mark; at < this.journal.length; at++) {
      const { store: changed, cell } = this.journal[at] as Change;
      const dueMs = cell.entry?.dueMs ?? Infinity;
      if (changed !== store || dueMs >= beforeMs) continue;
      due.push({ id: cell.id, bytes: Buffer.from(cell.id, "latin1"), dueMs });
    }
    return due;
  }

  /** The batch in hand is done: its changes stay, and the cache may make room. */
  endBatch(): void {
    this.journal.length = 0;
    for (const store of this.#stores.values()) store.endBatch();
  }

  close(): void {
    for (const store of this.#stores.values()) store.close();
  }
}

/** A store's share of the memory bound. */
export interface CacheShare {
  /** Bytes that were added, or with a minus let go. */
  add(bytes: number): void;
  readonly isOver: boolean;
  /** Keys that were in memory, and keys that had to be fetched. */
  count(hits: number, misses: number): void;
  close(): void;
}

export class CacheBudget {
  readonly #bytesMax: number;
  readonly #meter: Pick<Meter, "count"> | null;
  #shares = 0;

  constructor(bytesMax: number, meter: Pick<Meter, "count"> | null = null) {
    this.#bytesMax = bytesMax;
    this.#meter = meter;
  }

  /** `labels` name the store in metrics. */
  share(labels: Labels): CacheShare {
    let bytes = 0;
    let isOpen = true;
    this.#shares++;
    const limit = (): number => this.#bytesMax / this.#shares;
    return {
      add: (more) => void (bytes += more),
      get isOver() {
        return bytes > limit();
      },
      count: (hits, misses) => {
        this.#meter?.count("millrace_state_reads_total", { ...labels, from: "cache" }, hits);
        this.#meter?.count("millrace_state_reads_total", { ...labels, from: "copy" }, misses);
      },
      // A task that failed is closed again when its partition is revoked.
      close: () => {
        if (isOpen) this.#shares--;
        isOpen = false;
      },
    };
  }
}
