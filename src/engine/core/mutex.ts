// One at a time, in the order of asking.

export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `body` when all that asked before are done; its failure is only its own. */
  run<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(body, body);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
