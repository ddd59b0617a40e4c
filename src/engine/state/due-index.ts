// The keys of a copy in memory that are due, in the order of their dues: a binary heap, and in front of it those that were
// asked for, in a list. A key that changes leaves its old place behind, which is dropped when it comes up, or when such places
// are the greater part.
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
  /** Taken out of the heap, in order: none in it is sooner. */
  #front: Place[] = [];
  /** A place in the list may have been left behind. */
  #hasChanged = false;

  dueOf(id: string): number | null {
    return this.#places.get(id)?.dueMs ?? null;
  }

  delete(id: string): void {
    if (this.#places.delete(id)) this.#hasChanged = true;
  }

  set(id: string, dueMs: number): void {
    if (this.#places.get(id)?.dueMs === dueMs) return;
    const place = { id, dueMs };
    this.#places.set(id, place);
    this.#hasChanged = true;
    const last = this.#front.at(-1);
    if (last !== undefined && isSooner(place, last)) this.#putBack();
    this.#heap.push(place);
    if (this.#heap.size <= 2 * this.#places.size + LEFT_BEHIND_MIN) return;
    this.#front = [];
    this.#heap.replace(this.#places.values());
  }

  #putBack(): void {
    for (const place of this.#front) this.#heap.push(place);
    this.#front = [];
  }

  /** Null where nothing is due. It looks at all of them. */
  get lastMs(): number | null {
    let last: number | null = null;
    for (const { dueMs } of this.#places.values()) last = Math.max(last ?? dueMs, dueMs);
    return last;
  }

  /** As `StateCopy.due`. */
  first(beforeMs: number, keysMax: number, behind: number): Pick<DueRead, "keys" | "nextMs"> {
    if (this.#hasChanged) this.#front = this.#front.filter((place) => this.#isCurrent(place));
    this.#hasChanged = false;
    const end = behind + keysMax;
    this.#fill(end, beforeMs);
    const keys: DueKey[] = [];
    let at = behind;
    for (; at < end; at++) {
      const { id, dueMs } = this.#front[at] ?? NONE;
      if (dueMs >= beforeMs) break;
      keys.push({ key: Buffer.from(id, "latin1"), dueMs });
    }
    return { keys, nextMs: this.#front[at]?.dueMs ?? null };
  }

  /** Until the list goes beyond either end. */
  #fill(end: number, beforeMs: number): void {
    for (let last = this.#front.at(-1); this.#front.length <= end; last = this.#front.at(-1)) {
      if (last !== undefined && last.dueMs >= beforeMs) return;
      const place = this.#heap.pop();
      if (place === undefined) return;
      if (this.#isCurrent(place)) this.#front.push(place);
    }
  }

  #isCurrent(place: Place): boolean {
    return this.#places.get(place.id) === place;
  }
}

const NONE: Place = { id: "", dueMs: Infinity };
