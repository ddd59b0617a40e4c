// The keys of a copy in memory that are due, in the order of their dues: a binary heap. A key that changes leaves its old
// place in the heap behind, which is dropped when it comes up, or when such places are the greater part.
import { Heap } from "../core/heap.ts";
import { isSooner, type DueKey, type DueRead } from "../core/state.ts";

interface Place {
  /** The key, as latin1: its order is that of the bytes. */
  readonly id: string;
  readonly dueMs: number;
}

/** Places left behind that are not worth a sweep. */
const LEFT_BEHIND_MIN = 1_000;

export class DueIndex {
  readonly #places = new Map<string, Place>();
  readonly #heap = new Heap<Place>(isSooner);

  dueOf(id: string): number | null {
    return this.#places.get(id)?.dueMs ?? null;
  }

  delete(id: string): void {
    this.#places.delete(id);
  }

  set(id: string, dueMs: number): void {
    if (this.#places.get(id)?.dueMs === dueMs) return;
    const place = { id, dueMs };
    this.#places.set(id, place);
    this.#heap.push(place);
    if (this.#heap.size > 2 * this.#places.size + LEFT_BEHIND_MIN)
      this.#heap.replace(this.#places.values());
  }

  first(beforeMs: number, keysMax: number): Pick<DueRead, "keys" | "nextMs"> {
    const taken: Place[] = [];
    while (taken.length < keysMax && (this.#top()?.dueMs ?? Infinity) < beforeMs)
      taken.push(this.#heap.pop() as Place);
    const nextMs = this.#top()?.dueMs ?? null;
    for (const place of taken) this.#heap.push(place);
    const keys = taken.map(({ id, dueMs }): DueKey => {
      return { key: Buffer.from(id, "latin1"), dueMs };
    });
    return { keys, nextMs };
  }

  /** The first place that is still its key's. */
  #top(): Place | undefined {
    for (;;) {
      const { top } = this.#heap;
      if (top === undefined || this.#places.get(top.id) === top) return top;
      this.#heap.pop();
    }
  }
}
