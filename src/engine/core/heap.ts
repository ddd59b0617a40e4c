// A binary heap: the first by an order comes out first. Equal elements come out in no particular order.

export class Heap<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  #elements: T[] = [];

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#elements.length;
  }

  /** Undefined: it is empty. */
  get top(): T | undefined {
    return this.#elements[0];
  }

  /** Puts these in the place of all that it has. */
  replace(elements: Iterable<T>): void {
    // A sorted array is a heap.
    this.#elements = [...elements].sort((a, b) => (this.#isBefore(a, b) ? -1 : 1));
  }

  push(element: T): void {
    const elements = this.#elements;
    let at = elements.length;
    elements.push(element);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = elements[above] as T;
      if (!this.#isBefore(element, parent)) break;
      elements[at] = parent;
      at = above;
    }
    elements[at] = element;
  }

  pop(): T | undefined {
    const elements = this.#elements;
    const [top] = elements;
    const last = elements.pop();
    if (last === undefined || elements.length === 0) return top;
    let at = 0;
    for (;;) {
      const below = this.#firstChild(at);
      const child = elements[below];
      if (child === undefined || !this.#isBefore(child, last)) break;
      elements[at] = child;
      at = below;
    }
    elements[at] = last;
    return top;
  }

  #firstChild(at: number): number {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    const other = this.#elements[right];
    return other !== undefined && this.#isBefore(other, this.#elements[left] as T) ? right : left;
  }
}
