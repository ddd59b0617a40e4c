// When a checkpoint is due: after an interval, or sooner when much is staged.
import type { Clock } from "../core/ports.ts";

/** Made once: without a reason, each abort would make an exception with its stack. */
const CUT_SHORT: Error = new Error("the checkpoint is due now");

export interface ScheduleLimits {
  readonly intervalMs: number;
  readonly recordsMax: number;
}

/** Paces one commit loop. `note` is told what was staged; `due` resolves when a commit should begin. */
export class Schedule {
  readonly #clock: Clock;
  readonly #limits: ScheduleLimits;
  #records = 0;
  #early: (() => void) | null = null;

  constructor(clock: Clock, limits: ScheduleLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Counts staged records; enough of them make a checkpoint due at once. */
  note(records: number): void {
    this.#records += records;
    if (this.#records >= this.#limits.recordsMax) this.#early?.();
  }

  /** Makes the next checkpoint due now. */
  hurry(): void {
    this.#records = this.#limits.recordsMax;
    this.#early?.();
  }

  /** Resolves after the interval, when enough is staged, or when the signal aborts. */
  async due(signal: AbortSignal): Promise<void> {
    const wait = new AbortController();
    const stop = (): void => wait.abort(CUT_SHORT);
    signal.addEventListener("abort", stop, { once: true });
    this.#early = stop;
    if (this.#records >= this.#limits.recordsMax || signal.aborted) stop();
    // The sleep is cut short on purpose; its rejection says only that.
    await this.#clock.sleep(this.#limits.intervalMs, wait.signal).catch(() => undefined);
    signal.removeEventListener("abort", stop);
    this.#early = null;
    this.#records = 0;
  }
}
