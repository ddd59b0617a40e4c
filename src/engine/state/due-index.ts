// The keys of a copy in memory that are due, in the order of their dues: a binary heap. A key that changes leaves its old
// place in the heap behind, which is dropped when it comes up, or when such places are the greater part.
import type { DueKey, DueRead } from "../core/state.ts";

interface Place {
  /** The key, as latin1: its order is that of the bytes. */
  readonly id: string;
  readonly dueMs: number;
}

/** Of one due in the order of the keys' bytes. */
export const isSooner = (a: Place, b: Place): boolean =>
  a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.id < b.id);

/** Places left behind that are not worth a sweep. */
const LEFT_BEHIND_MIN = 1_000;

export class DueIndex {
  readonly #places = new Map<string, Place>();
  #heap: Place[] = [];

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
    this.#push(place);
    if (this.#heap.length > 2 * this.#places.size + LEFT_BEHIND_MIN) this.#sweep();
  }

  first(beforeMs: number, keysMax: number): Pick<DueRead, "keys" | "nextMs"> {
    const taken: Place[] = [];
    while (taken.length < keysMax && (this.#top()?.dueMs ?? Infinity) < beforeMs)
      taken.push(this.#pop() as Place);
    const nextMs = this.#top()?.dueMs ?? null;
    for (const place of taken) this.#push(place);
    const keys = taken.map(({ id, dueMs }): DueKey => {
      return { key: Buffer.from(id, "latin1"), dueMs };
    });
    return { keys, nextMs };
  }

  /** The first place that is still its key's. */
  #top(): Place | undefined {
    for (;;) {
      const [top] = this.#heap;
      if (top === undefined || this.#places.get(top.id) === top) return top;
      this.#pop();
    }
  }

  #sweep(): void {
    this.#heap = [...this.#places.values()].sort((a, b) => (isSooner(a, b) ? -1 : 1));
  }

  #push(place: Place): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(place);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Place;
      if (!isSooner(place, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = place;
  }

  #pop(): Place | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      const below = soonerChild(heap, at);
      const child = heap[below];
      if (child === undefined || !isSooner(child, last)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
    return top;
  }
}

function soonerChild(heap: readonly Place[], at: number): number {
  const [left, right] = [2 * at + 1, 2 * at + 2];
  const other = heap[right];
  return other !== undefined && isSooner(other, heap[left] as Place) ? right : left;
}
