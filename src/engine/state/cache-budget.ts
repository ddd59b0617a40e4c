// What the stores of a worker may keep in memory together: a bound in bytes, shared evenly among those that are open.

/** One store's part of the bound. */
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
  #shares = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** `onCount` is told of hits and misses. */
  share(onCount: (hits: number, misses: number) => void): CacheShare {
    let bytes = 0;
    let isOpen = true;
    this.#shares++;
    const limit = (): number => this.#bytesMax / this.#shares;
    return {
      add: (more) => void (bytes += more),
      get isOver() {
        return bytes > limit();
      },
      count: onCount,
      // A task that failed is closed again when its partition is revoked.
      close: () => {
        if (isOpen) this.#shares--;
        isOpen = false;
      },
    };
  }
}
