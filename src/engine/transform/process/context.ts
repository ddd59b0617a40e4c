// The context of a handler: the stores and timers of the key in hand. It is valid while its handler runs, which is always
// synchronous, so one object serves all records of a step.
import { Mistake } from "../../core/errors.ts";
import { END_OF_TIME } from "../../core/event-time.ts";
import type { StateKey } from "../../core/state.ts";
import type { Item, Views } from "../operator.ts";
import {
  changedTimers,
  timersEntry,
  timersOf,
  type StoredTimer,
  type TimerClock,
} from "./timers.ts";

/** A value of the key in hand. */
export interface KeyState<S> {
  /** Null when there is none. */
  get(): S | null;
  set(value: S): void;
  clear(): void;
}

/** A timer of the key in hand. */
export interface KeyTimer {
  /** Fires at this time, epoch ms; a timer that was set before moves there. */
  at(ms: number): void;
  /** Does nothing where it is not set. */
  cancel(): void;
}

/** A value that a step keeps for each key. */
export interface DeclaredState {
  readonly name: string;
  readonly store: string;
}
/** A timer that a step may set for each key. */
export interface DeclaredTimer {
  readonly name: string;
  readonly clock: TimerClock;
  readonly store: string;
}

/** The last millisecond that a Date knows. */
const TIME_MAX = 8_640_000_000_000_000;

/** The timer that fires. */
export interface FiringTimer {
  readonly clock: TimerClock;
  readonly dueMs: number;
}

export class HandlerContext {
  readonly state: Readonly<Record<string, KeyState<unknown>>>;
  readonly timers: Readonly<Record<string, KeyTimer>>;
  key: unknown = null;
  /** Set for a record alone. */
  record: unknown = undefined;
  /** Set for a timer alone. */
  due: number | undefined = undefined;
  streamTime = 0;
  /** The origin time of results of a timer that is set now: no window that is closed takes them. */
  setMs = 0;
  #item: Item | null = null;
  #views: Views | null = null;
  #firing: FiringTimer | null = null;
  #hasChanged = false;

  constructor(states: readonly DeclaredState[], timers: readonly DeclaredTimer[]) {
    this.state = Object.freeze(
      Object.fromEntries(states.map(({ name, store }) => [name, this.#stateOf(store)])),
    );
    this.timers = Object.freeze(
      Object.fromEntries(timers.map((timer) => [timer.name, this.#timerOf(timer)])),
    );
  }

  /** A handler begins. */
  begin(item: Item, views: Views, firing: FiringTimer | null): void {
    [this.#item, this.#views, this.#firing, this.#hasChanged] = [item, views, firing, false];
  }

  /** The handler has ended; says whether it has changed anything. */
  end(): boolean {
    this.#item = this.#views = this.#firing = null;
    return this.#hasChanged;
  }

  #inHand(): { readonly item: Item; readonly views: Views; readonly key: StateKey } {
    if (this.#item === null || this.#views === null)
      throw new Mistake("its context is used after its handler has returned");
    return { item: this.#item, views: this.#views, key: this.#item.key as StateKey };
  }

  #stateOf(store: string): KeyState<unknown> {
    return {
      get: () => {
        const { views, key } = this.#inHand();
        return views.view(store).get(key)?.value ?? null;
      },
      set: (value) => this.#setState(store, value),
      clear: () => {
        const { views, key } = this.#inHand();
        const view = views.view(store);
        if (view.get(key) === null) return;
        view.set(key, null);
        this.#hasChanged = true;
      },
    };
  }

  #setState(store: string, value: unknown): void {
    const { item, views, key } = this.#inHand();
    if (value === undefined || value === null)
      throw new Mistake(`it sets a state to ${String(value)}; clear() deletes it`);
    const view = views.view(store);
    const { timestamp } = item.record.context;
    const before = view.get(key)?.timestamp ?? timestamp;
    view.set(key, { value, timestamp: Math.max(timestamp, before), dueMs: null });
    this.#hasChanged = true;
  }

  #timerOf(timer: DeclaredTimer): KeyTimer {
    return {
      at: (ms) => this.#put(timer, this.#checked(timer, ms)),
      cancel: () => this.#put(timer, null),
    };
  }

  #put({ name, clock, store }: DeclaredTimer, dueMs: number | null): void {
    const { item, views, key } = this.#inHand();
    // At the end of a bounded run every timer fires, so one that sets itself again would never end.
    if (this.#firing?.clock === clock && item.watermark === END_OF_TIME && dueMs !== null) return;
    const view = views.view(store);
    const before = timersOf(view, key);
    if (dueMs === null && !before.some(([other]) => other === name)) return;
    const timer: StoredTimer | null = dueMs === null ? null : [name, dueMs, this.setMs];
    view.set(key, timersEntry(changedTimers(before, name, timer), item.record.context.timestamp));
    this.#hasChanged = true;
  }

  #checked({ name, clock }: DeclaredTimer, ms: unknown): number {
    if (typeof ms !== "number" || !(ms >= 0 && ms <= TIME_MAX))
      throw new Mistake(`timer "${name}": expected a time, ms since the epoch, 0 or more`);
    const firing = this.#firing;
    if (firing !== null && firing.clock === clock && ms <= firing.dueMs)
      throw new Mistake(`timer "${name}": set by a timer, it must be later than that one's due`);
    return Math.ceil(ms);
  }
}
