// The stores of one task, with one journal: a batch changes all of them or none.
import { assert } from "../core/errors.ts";
import type { StateKey, StoreView, TaskStores } from "../core/state.ts";
import type { Change, KeyedStore } from "./keyed-store.ts";

export class OpenStores implements TaskStores {
  /** Handed to every store of the task. */
  readonly journal: Change[];
  readonly #stores: ReadonlyMap<string, KeyedStore>;
  readonly #load: (store: KeyedStore, keys: ReadonlyMap<string, StateKey>) => Promise<void>;

  /** `load` says what is done while the copy is away. */
  constructor(
    stores: ReadonlyMap<string, KeyedStore>,
    journal: Change[],
    load: (store: KeyedStore, keys: ReadonlyMap<string, StateKey>) => Promise<void>,
  ) {
    this.#stores = stores;
    this.journal = journal;
    this.#load = load;
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
    return this.#load(this.store(name), keys);
  }

  mark(): number {
    return this.journal.length;
  }

  rollback(mark: number): void {
    for (const change of this.journal.splice(mark).reverse()) change.store.undo(change);
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
