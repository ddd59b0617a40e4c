// Wakes a task at a time of the wall clock, however often that time is put off or brought forward.
import type { Clock } from "../../core/ports.ts";

/** The wall clock may be set meanwhile, so it is asked again. */
const LONGEST_SLEEP_MS = 60_000;

export class Alarm {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #ring: () => void;
  #set: { readonly atMs: number; readonly stop: AbortController } | null = null;

  constructor(clock: Clock, signal: AbortSignal, ring: () => void) {
    [this.#clock, this.#signal, this.#ring] = [clock, signal, ring];
  }

  /** Rings then, and for no time that was set before; Infinity: leaves it as it is. */
  at(atMs: number): void {
    if (atMs === Infinity || this.#set?.atMs === atMs) return;
    this.#set?.stop.abort(new Error("another time was set"));
    const stop = new AbortController();
    this.#set = { atMs, stop };
    this.#sleepUntil(atMs, AbortSignal.any([stop.signal, this.#signal])).then(
      () => {
        this.#set = null;
        this.#ring();
      },
      () => undefined,
    );
  }

  async #sleepUntil(atMs: number, signal: AbortSignal): Promise<void> {
    do {
      const leftMs = Math.max(0, atMs - this.#clock.now());
      await this.#clock.sleep(Math.min(leftMs, LONGEST_SLEEP_MS), signal);
    } while (this.#clock.now() < atMs);
  }
}
