// Handlers of records and timers. What they are asked for is what the engine's `process` gives; the oracle has cells and timers of
// its own. A handler keeps what it has set in a value: one that fires, and was cancelled or set again, shows.
import { json, milliseconds, type Stream } from "#engine";
import type { Node } from "../case.ts";
import { mod, numberOf, refused, step, type Value } from "../values.ts";

export type TimerName = "soon" | "later" | "wall";
/** The times for which timers are set. */
export type Armed = Partial<Readonly<Record<TimerName, number>>>;

interface Cell<S> {
  get(): S | null;
  set(value: S): void;
  clear(): void;
}
interface Timer {
  at(ms: number): void;
  cancel(): void;
}
/** The values and timers of one key. */
export interface Handling {
  readonly state: { readonly sum: Cell<number>; readonly armed: Cell<Armed> };
  readonly timers: Readonly<Record<"soon" | "later", Timer>>;
}

/** Records that change nothing, and those whose handler throws when it has changed something. */
export const isIdle = ({ v }: Value): boolean => mod(v, 11) === 10;
export const isThrowing = ({ n }: Value): boolean => mod(numberOf({ n } as Value), 13) === 7;

export function onRecord(value: Value, timeMs: number, handling: Handling): Value[] {
  if (isIdle(value)) return [];
  const { state } = handling;
  const n = numberOf(value);
  const sum = (state.sum.get() ?? 0) + n;
  state.sum.set(sum);
  const turn = mod(value.v, 7);
  // Some lie in the past.
  if (turn <= 2) arm(handling, "soon", timeMs + 250 * (mod(n, 9) - 1));
  if (turn === 2 || turn === 3) arm(handling, "later", timeMs + 500 * mod(n, 5));
  if (turn === 4) disarm(handling, "soon");
  if (turn >= 5) disarm(handling, "later");
  return turn % 2 === 0 ? [{ ...value, n: sum }] : [];
}

/** A timer that sets itself again does so for a while: event time may jump by an hour. */
const TIMES_AGAIN = 40;
const AGAIN_MS = 375;
const isAgain = (dueMs: number): boolean =>
  mod(Math.floor(dueMs / AGAIN_MS), TIMES_AGAIN) !== TIMES_AGAIN - 1;

/** Sometimes it sets itself again, or another one. */
export function onTimer(name: "soon" | "later", dueMs: number, handling: Handling): Value[] {
  const { state } = handling;
  const isArmed = state.armed.get()?.[name] === dueMs;
  const sum = state.sum.get() ?? 0;
  forget(handling, name);
  if (mod(sum, 3) === 0 && isAgain(dueMs)) arm(handling, name, dueMs + AGAIN_MS);
  if (mod(sum, 4) === 1 && isAgain(dueMs))
    arm(handling, name === "soon" ? "later" : "soon", dueMs + 250);
  if (mod(sum, 5) === 0) state.sum.clear();
  else state.sum.set(sum + 1);
  return [{ i: `${isArmed ? "" : "stray "}${name} ${String(dueMs)}`, n: sum, g: "", v: 0 }];
}

function arm(handling: Handling, name: "soon" | "later", dueMs: number): void {
  const { state, timers } = handling;
  state.armed.set({ ...state.armed.get(), [name]: dueMs });
  timers[name].at(dueMs);
}

function disarm(handling: Handling, name: "soon" | "later"): void {
  forget(handling, name);
  handling.timers[name].cancel();
}

function forget({ state }: Handling, name: TimerName): void {
  const left = Object.entries(state.armed.get() ?? {}).filter(([own]) => own !== name);
  if (left.length === 0) state.armed.clear();
  else state.armed.set(Object.fromEntries(left));
}

type Values = Stream<string | null, Value>;

/** Null: as records come. */
export const orderMsIn = ({ op, by }: Node): number | null =>
  op === "ordered" ? ([0, 1_000, 3_000][mod(Math.floor(by / 2), 3)] ?? 0) : null;
/** A step with state in the place of handlers. */
export const isOfSteps = ({ op, by }: Node): boolean => op === "ordered" && mod(by, 3) === 2;

const orderOf = (node: Node) => {
  const graceMs = orderMsIn(node);
  return graceMs === null ? {} : { order: { grace: milliseconds(graceMs) } };
};

export function drawHandlers(stream: Values, node: Node): Values {
  if (isOfSteps(node))
    return stream.mapWithState(node.id, {
      state: json<number>(),
      map: (state: number | null, value) => step(state, value, 1),
      ...orderOf(node),
    });
  const isOrdered = orderMsIn(node) !== null;
  return stream.process(node.id, {
    state: { sum: json<number>(), armed: json<Armed>() },
    timers: { soon: "event-time", later: "event-time" },
    ...orderOf(node),
    onRecord(value: Value, { record, ...handling }) {
      const made = onRecord(value, record.timestamp, handling);
      // Not in an order: its task would stop.
      if (!isOrdered && isThrowing(value)) throw refused;
      return made;
    },
    onTimer: {
      soon: ({ due, ...handling }) => onTimer("soon", due, handling),
      later: ({ due, ...handling }) => onTimer("later", due, handling),
    },
  });
}

/** The wall clock; before its world is there, nothing is too soon. */
export interface WallClock {
  now: () => number;
}

/** Records that wait for a timer, and the time for which it is set. */
interface Pending {
  readonly values: readonly Value[];
  readonly armedMs: number | null;
}

const START_MS = Date.UTC(2026, 0, 1);
const isFlush = ({ v }: Value): boolean => mod(v, 4) === 3;

/**
 * Each record comes out once: with the timer by the wall clock that it has set, or with a record that cancels that. Which of
 * both depends on when they come.
 */
export function drawWall(stream: Values, { id }: Node, wall: WallClock): Values {
  return stream.process(id, {
    state: { pending: json<Pending>() },
    timers: { wall: "wall-clock" },
    onRecord(value: Value, { state, timers }) {
      const values = [...(state.pending.get()?.values ?? []), value];
      if (isFlush(value)) {
        timers.wall.cancel();
        state.pending.clear();
        return values;
      }
      const armedMs = START_MS + mod(value.v * 331, 2_500);
      state.pending.set({ values, armedMs });
      timers.wall.at(armedMs);
      return [];
    },
    onTimer: {
      wall({ due, state }) {
        const { values, armedMs } = state.pending.get() ?? { values: [], armedMs: null };
        state.pending.clear();
        const wrong = armedMs !== due ? "stray" : due > wall.now() ? "early" : null;
        return wrong === null ? values : [{ i: `${wrong} ${String(due)}`, n: 0, g: "", v: 0 }];
      },
    },
  });
}
