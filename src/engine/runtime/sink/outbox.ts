// The letters of a sink task go out after the decision: one sent before it could turn out false, as a retry may pass.
import type { MillraceError } from "../../core/errors.ts";
import { publishLetters } from "../../letters/publish.ts";
import { persist, whyOf } from "../failure.ts";
import type { SinkTaskOptions } from "./task.ts";

const LETTERS_A_SEND = 500;
/** A letter that was refused as pointer and hash is sent again after this. */
const STUCK_MS = 5_000;

type Of = Pick<SinkTaskOptions, "context" | "id" | "store" | "producer" | "onWaiting">;

export class Outbox {
  readonly #of: Of;
  readonly #signal: AbortSignal;

  constructor(of: Of, signal: AbortSignal) {
    this.#of = of;
    this.#signal = signal;
  }

  /** Resolves when nothing is owed. */
  async send(): Promise<void> {
    const { store, producer, id } = this.#of;
    for (;;) {
      const owed = await this.#persist("postgres", () => store.owed(id, LETTERS_A_SEND));
      if (owed.length === 0) return;
      const { ids, stuck } = await this.#persist("kafka", () => publishLetters(producer, owed));
      await this.#persist("postgres", () => store.forget(id, ids));
      if (stuck !== null) await this.#untilTaken(stuck);
    }
  }

  /** The next letter would be refused as this one is. */
  async #untilTaken(stuck: MillraceError): Promise<void> {
    const { context, onWaiting, id } = this.#of;
    const why = whyOf(stuck);
    context.log.error({ ...id, why }, "the task is paused: its letters are refused");
    onWaiting(why);
    await context.clock.sleep(STUCK_MS, this.#signal);
    onWaiting(null);
  }

  #persist<T>(dependency: string, work: () => Promise<T>): Promise<T> {
    const { context, onWaiting } = this.#of;
    return persist(context, { dependency, signal: this.#signal, onWaiting }, work);
  }
}
