// Records a second over the last few seconds, and how long workers have been at work in all.
import type { Clock } from "../../core/ports.ts";

const WINDOW_MS = 10_000;

export class RateMeter {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #secondsBefore: number;
  readonly #startMs: number;
  readonly #seen: { readonly atMs: number; readonly done: number }[] = [];

  /** `secondsBefore` were spent by earlier controllers of the run. */
  constructor(clock: Pick<Clock, "monotonic">, secondsBefore: number) {
    this.#clock = clock;
    this.#secondsBefore = secondsBefore;
    this.#startMs = clock.monotonic();
  }

  get seconds(): number {
    return this.#secondsBefore + (this.#clock.monotonic() - this.#startMs) / 1_000;
  }

  /** Null with the first count. */
  note(done: number): number | null {
    const atMs = this.#clock.monotonic();
    this.#seen.push({ atMs, done });
    while ((this.#seen[0]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#seen.shift();
    const [first] = this.#seen;
    if (first === undefined || first.atMs === atMs) return null;
    return ((done - first.done) * 1_000) / (atMs - first.atMs);
  }
}
