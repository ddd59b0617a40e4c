// Virtual time: nothing happens until `advance`, and then in order of due time, with all promises settled in between.
// So a run is a function of its calls, and a week takes milliseconds.
import { assert } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

// Taken at load: a test that mocks timers must not stop virtual time.
const nextTurn = setImmediate;

interface Sleeper {
  readonly due: number;
  wake(): void;
}

/** Lets every promise that can settle do so: one turn of the event loop runs all microtasks first. */
export const settle = (): Promise<void> => new Promise((resolve) => nextTurn(resolve));

export class FakeClock implements Clock {
  readonly #startMs: number;
  /** The time of timers. */
  #now: number;
  /** The offset of the wall clock from it. */
  #shiftMs = 0;
  #isAdvancing = false;
  /** By due time, then in order of arrival. */
  readonly #sleepers: Sleeper[] = [];

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = this.#startMs = startMs;
  }

  /** Whole milliseconds, as Date.now() has them. */
  now(): number {
    return Math.floor(this.#now + this.#shiftMs);
  }

  /** The time of timers since the start, in whole milliseconds. */
  monotonic(): number {
    return Math.floor(this.#now - this.#startMs);
  }

  /** The wall clock jumps, forward or back; timers and `monotonic` do not notice. */
  jump(ms: number): void {
    this.#shiftMs += ms;
  }

  /** When the next sleeper is due, or null when nobody sleeps. */
  nextDue(): number | null {
    const [next] = this.#sleepers;
    return next === undefined ? null : next.due + this.#shiftMs;
  }

  /** A sleep of 0 ms ends at the next `advance`, also at `advance(0)`. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const sleeper: Sleeper = { due: this.#now + Math.max(0, ms), wake: () => wake() };
      const cancel = (): void => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener("abort", cancel);
        resolve();
      };
      signal?.addEventListener("abort", cancel, { once: true });
      this.#insert(sleeper);
    });
  }

  /** Moves time on by `ms`, waking whoever is due on the way, one at a time, each with its consequences settled. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.#move(() => false, end);
    this.#now = end;
  }

  /** Moves time from sleeper to sleeper until `isDone`; false when `limitMs` passed or nobody slept any more. */
  async advanceUntil(isDone: () => boolean, limitMs: number): Promise<boolean> {
    await this.#move(isDone, this.#now + limitMs);
    return isDone();
  }

  async #move(isDone: () => boolean, end: number): Promise<void> {
    assert(!this.#isAdvancing, "virtual time is moved from two places at once");
    this.#isAdvancing = true;
    try {
      await settle();
      while (!isDone() && this.#wakeNext(end)) await settle();
    } finally {
      this.#isAdvancing = false;
    }
  }

  #wakeNext(end: number): boolean {
    const next = this.#sleepers[0];
    if (next === undefined || next.due > end) return false;
    this.#sleepers.shift();
    this.#now = Math.max(this.#now, next.due);
    next.wake();
    return true;
  }

  #insert(sleeper: Sleeper): void {
    let at = this.#sleepers.length;
    while (at > 0 && (this.#sleepers[at - 1] as Sleeper).due > sleeper.due) at--;
    this.#sleepers.splice(at, 0, sleeper);
  }
}
