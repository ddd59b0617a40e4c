// The entries of a task that are due without a record of their own: those by event time, between its slices and in front of a
// record that waits for them, and those by the wall clock.
import type { MillraceError } from "../../../core/errors.ts";
import type { Inbox } from "../../../source/inbox.ts";
import type { DueHead, Fired } from "../../../transform/due.ts";
import type { WorkerContext } from "../../context.ts";
import { Alarm } from "../../calls/alarm.ts";

/** The entries in the stores of a task. */
interface FiredState {
  readonly hasWallClock: boolean;
  /** The last ms at which none is due. */
  readonly nextByWallClockMs: number;
  /** Works some of those that are due; null where none is. */
  fire(head: DueHead | null): Promise<Fired | null>;
  fireByWallClock(): Promise<Fired | null>;
}

export interface FiringOptions {
  readonly context: Pick<WorkerContext, "bounds" | "clock">;
  readonly task: { readonly signal: AbortSignal };
  readonly inbox: Pick<Inbox, "nudge" | "nudged">;
  readonly state: FiredState;
  /** Resolves when the stage takes results. */
  roomy(): Promise<void>;
  /** Takes what was made of entries. */
  keep(fired: Fired): void;
}

export class Firing {
  readonly #options: FiringOptions;
  /** Wakes the task for what is due by the wall clock. */
  readonly #alarm: Alarm;

  constructor(options: FiringOptions) {
    const { context, task, inbox } = options;
    this.#options = options;
    this.#alarm = new Alarm(context.clock, task.signal, () => inbox.nudge());
  }

  /** Between two slices. Returns why the task must stop, or null. */
  async turn(): Promise<MillraceError | null> {
    return (await this.before(null)) ?? (await this.#byWallClock());
  }

  /** What is due by event time; with a head, what is due before it. */
  before(head: DueHead | null): Promise<MillraceError | null> {
    const { state } = this.#options;
    return this.#all(() => state.fire(head), head !== null);
  }

  /** A bounded run has no wall clock: its timers stay set, and fire once its state is live. */
  async #byWallClock(): Promise<MillraceError | null> {
    const { context, state } = this.#options;
    if (context.bounds !== undefined || !state.hasWallClock) return null;
    const halted = await this.#all(() => state.fireByWallClock(), false);
    // An entry is not due yet in the last ms before it fires.
    this.#alarm.at(state.nextByWallClockMs + 1);
    return halted;
  }

  /** Until nothing is due any more; `mustGo`: nothing else may be worked before. */
  async #all(fire: () => Promise<Fired | null>, mustGo: boolean): Promise<MillraceError | null> {
    const { task, inbox, roomy, keep } = this.#options;
    for (;;) {
      await roomy();
      const fired = await fire();
      if (fired === null) return null;
      task.signal.throwIfAborted();
      if (fired.halted !== null) return fired.halted;
      keep(fired);
      // A step behind has no room: the others wait too, in their order.
      if (fired.waiting.length === 0 || fired.worked > 0) continue;
      if (mustGo) await inbox.nudged();
      return null;
    }
  }
}
