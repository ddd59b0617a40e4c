// A page of entries of one operator that are due, and are worked by themselves. What they make due within it may come before the
// next of them: the page ends in front of that one.
import { Heap } from "../core/heap.ts";
import { isSooner, type DueStateKey, type TaskStores } from "../core/state.ts";
import { dueStoresOf } from "./agenda.ts";
import type { Operator } from "./operator.ts";

/** An entry of a page, with the place of its store among those of its operator. */
export interface PageEntry {
  readonly input: number;
  readonly key: DueStateKey;
}

/** Of equal dues those of the first store come first. */
const isBefore = (a: PageEntry, b: PageEntry): boolean =>
  a.key.dueMs === b.key.dueMs && a.input !== b.input ? a.input < b.input : isSooner(a.key, b.key);

export class DuePage {
  readonly #operator: Operator;
  readonly #stores: TaskStores;
  readonly #endMs: number;
  readonly #made = new Heap<PageEntry>(isBefore);

  constructor(operator: Operator, stores: TaskStores, last: PageEntry) {
    [this.#operator, this.#stores, this.#endMs] = [operator, stores, last.key.dueMs + 1];
  }

  /** Whether something was made due that comes before the next entry; `mark`: where the last one began in the journal. */
  endsBefore(next: PageEntry, mark: number): boolean {
    // The entries of one store belong to different keys: another key may wait for the next page.
    // mistake: made due two entries before
    if (this.#made.size > 0 && dueStoresOf(this.#operator).length === 1) this.#made.replace([]);
    for (const [input, store] of this.#operator.stores.entries())
      for (const key of this.#stores.dueSince(mark, store, this.#endMs))
        this.#made.push({ input, key });
    const first = this.#first();
    return first !== null && isBefore(first, next);
  }

  #first(): PageEntry | null {
    for (;;) {
      const { top } = this.#made;
      if (top === undefined) return null;
      const { input, key } = top;
      const view = this.#stores.view(this.#operator.stores[input] as string);
      // A key that was changed meanwhile has left its old place behind.
      if (view.get(key)?.dueMs === key.dueMs) return top;
      this.#made.pop();
    }
  }
}
