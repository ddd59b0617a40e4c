// A mutex that serves callers in the order of asking; and the calls of a transactional producer, one at a time.
import { assert, DependencyError, RecordsRefusedError } from "./errors.ts";
import type { TxProducer } from "./kafka.ts";

export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  /** Runs `body` when all earlier calls are done; its failure does not reach later ones. */
  run<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(body, body);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** refused: dead, but for abort(). */
type TxState = TxProducer["state"] | "refused";

/**
 * The life of a transactional producer, real or in memory. An uncertain call is never repeated: any failure is the end,
 * and every later call throws it again.
 * new → init() → ready → begin() → open → commit() or abort() → ready. A failure anywhere → dead, for good; after a refusal
 * of records abort() alone is left.
 */
export class TxLife {
  #state: TxState = "new";
  #failure: Error | null = null;
  readonly #turns = new Mutex();

  get state(): TxProducer["state"] {
    return this.#state === "refused" ? "dead" : this.#state;
  }

  close(): void {
    this.#state = "dead";
  }

  begin(): void {
    this.#expect("ready");
    this.#state = "open";
  }

  /** Ends the transaction, or what a refusal has left of it. */
  end(isCommit: boolean, work: () => Promise<void>): Promise<void> {
    const from = !isCommit && this.#state === "refused" ? "refused" : "open";
    return this.run(from, work, "ready");
  }

  /** Serves a call in the order of asking; `to` is the state behind it. */
  run<T>(from: TxState, work: () => Promise<T>, to: TxState = from): Promise<T> {
    return this.#turns.run(async () => {
      this.#expect(from);
      try {
        const result = await work();
        // It may have been closed meanwhile.
        if (this.#state === from) this.#state = to;
        return result;
      } catch (error) {
        this.#state = error instanceof RecordsRefusedError ? "refused" : "dead";
        this.#failure = error as Error;
        throw error;
      }
    });
  }

  #expect(state: TxState): void {
    if (this.#state === "dead" || (this.#state === "refused" && state !== "refused"))
      throw (
        this.#failure ?? new DependencyError("MILL_KAFKA_UNAVAILABLE", "the producer was closed")
      );
    assert(this.#state === state, `a producer that is ${this.#state} must be ${state} for this`);
  }
}
