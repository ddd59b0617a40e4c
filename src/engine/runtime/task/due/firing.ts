// The entries of a task that are due without a record of their own: those by event time, between its slices and in front of a
// record that waits for them, and those by the wall clock.
import type { MillraceError } from "../../../core/errors.ts";
import { END_OF_TIME } from "../../../core/event-time.ts";
import { placeOfDue, sourceOfResults } from "../../../core/state-results.ts";
import type { Inbox } from "../../../source/inbox.ts";
import type { OpenStores } from "../../../state/task-stores.ts";
import { entriesDue, type DueEntry } from "../../../transform/agenda.ts";
import type { TaskCalls } from "../../../transform/calls/call.ts";
import { fireDue, type DueEntries, type DueHead, type Fired } from "../../../transform/due.ts";
import type { DueStores, TaskTimes } from "../../../transform/program.ts";
import { Alarm } from "../../calls/alarm.ts";
import type { WorkerContext } from "../../context.ts";
import type { BoundPart } from "../bind.ts";
import type { Breaker } from "../breaker.ts";

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
    // mistake: wall clock without an alarm
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

interface DueOptions {
  readonly bound: BoundPart;
  readonly partition: number;
  readonly stores: OpenStores;
  readonly calls: TaskCalls;
  readonly times: TaskTimes;
  readonly breaker: Breaker;
  now(): number;
}

/** Entries are due whose dues lie before; the watermark is that in front of their operator. */
interface DueTime {
  readonly beforeMs: number;
  readonly watermark: number;
}

/** Entries that are due are worked so many at a time. */
const DUE_MAX = 500;

export class DueWork implements FiredState {
  readonly #options: DueOptions;
  readonly #dueBy: Readonly<Record<"event-time" | "wall-clock", readonly DueStores[]>>;
  /** Entries that were found due are in work. */
  isFiring = false;

  constructor(options: DueOptions) {
    this.#options = options;
    const { program } = options.bound;
    this.#dueBy = {
      "event-time": program.dueOperators("event-time"),
      "wall-clock": program.dueOperators("wall-clock"),
    };
  }

  /**
   * Works entries of one operator that are due by event time; null where none is. `head` is a record that waits for
   * them: it moves its input to this watermark, and nobody has seen that yet.
   */
  async fire(head: DueHead | null): Promise<Fired | null> {
    this.isFiring = true;
    const fired = await this.#fireByTime(this.#watermarkWith(head));
    // Those that were worked are kept in the same turn.
    this.isFiring = false;
    return fired;
  }

  async #fireByTime(watermarkOf: (at: number) => number): Promise<Fired | null> {
    for (const due of this.#dueBy["event-time"]) {
      const watermark = watermarkOf(due.at);
      if (this.#endsWithout(due, watermark)) continue;
      const fired = await this.#fire(due.at, due.stores, { beforeMs: watermark, watermark });
      if (fired !== null) return fired;
    }
    return null;
  }

  /** Whether entries may be due by what was consumed: watermarks have passed them, and nobody has worked them yet. */
  get isDue(): boolean {
    if (this.isFiring) return true;
    const { stores: open } = this.#options;
    return this.#dueBy["event-time"].some((due) => {
      const watermark = this.#watermark(due.at);
      if (this.#endsWithout(due, watermark)) return false;
      return due.stores.some((store) => open.nextDueMs(store) < watermark);
    });
  }

  /** As `fire`, for entries that are due by the wall clock. */
  async fireByWallClock(): Promise<Fired | null> {
    // mistake: wall clock ahead
    const beforeMs = this.#options.now();
    for (const { at, stores } of this.#dueBy["wall-clock"]) {
      const fired = await this.#fire(at, stores, { beforeMs, watermark: this.#watermark(at) });
      if (fired !== null) return fired;
    }
    return null;
  }

  /** The watermark in front of an operator while what is due by event time was not worked; Infinity where nothing is due. */
  watermarkOfDue(at: number): number {
    const { bound, stores: open } = this.#options;
    const all = this.#dueBy["event-time"].flatMap(({ at: dueAt, stores }) =>
      bound.part.nodes[dueAt]?.facts.closes === true
        ? stores.map((store) => bound.program.watermarkBehind(dueAt, open.nextDueMs(store), at))
        : [],
    );
    return Math.min(...all);
  }

  /** Whether anything may be due by the wall clock. */
  get hasWallClock(): boolean {
    return this.#dueBy["wall-clock"].length > 0;
  }

  /** The next due by the wall clock; Infinity where there is none. */
  get nextByWallClockMs(): number {
    const { stores: open } = this.#options;
    const all = this.#dueBy["wall-clock"].flatMap(({ stores }) => stores);
    return Math.min(...all.map((store) => open.nextDueMs(store)));
  }

  async #fire(at: number, names: readonly string[], by: DueTime): Promise<Fired | null> {
    const { bound, partition, stores, calls } = this.#options;
    const { beforeMs, watermark } = by;
    const entries = await entriesDue(stores, names, { beforeMs, most: DUE_MAX });
    if (entries.length === 0) return null;
    const watermarkOf = (place: number): number => this.#watermark(place);
    const due = { at, entries, partition, watermark, watermarkOf, stores, calls };
    const fired = this.#judged(await fireDue(bound.program, due), due);
    for (const { store, key } of fired.waiting) stores.dueAgain(store, key.dueMs);
    return fired;
  }

  /** Nothing of a page that the breaker does not admit is kept. */
  #judged(fired: Fired, { entries, partition }: DueEntries): Fired {
    const { breaker, stores } = this.#options;
    if (fired.halted !== null) return fired;
    const dead = new Set(fired.failed.map(({ entry }) => entry));
    const letters = entries.slice(0, fired.worked).map((entry) => dead.has(entry));
    const over = breaker.firstOver(letters);
    if (over === null) {
      for (const isLetter of letters) breaker.admits(isLetter);
      return fired;
    }
    stores.rollback(0);
    const { store, key } = entries[over] as DueEntry;
    const at = { topic: sourceOfResults(store), partition, offset: placeOfDue(key.dueMs) };
    return { ...fired, worked: 0, failed: [], waiting: entries, halted: breaker.error(at) };
  }

  #watermarkWith(head: DueHead | null): (at: number) => number {
    if (head === null) return (at) => this.#watermark(at);
    const { bound, times } = this.#options;
    const watermarkOf = bound.program.watermarks(head.place, times);
    return (at) => watermarkOf(at, head.watermark);
  }

  /** At the end of time results come, and nothing is forgotten: nobody reads the state of a range that is over. */
  #endsWithout({ at }: DueStores, watermark: number): boolean {
    const { nodes } = this.#options.bound.part;
    return watermark === END_OF_TIME && nodes[at]?.facts.closes !== true;
  }

  /** In front of an operator, by what was consumed. */
  #watermark(at: number): number {
    const { bound, times } = this.#options;
    return bound.program.watermark(at, times);
  }
}
