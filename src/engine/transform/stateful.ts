// Each step with state as a function over one waiting record: reads its key's entry, changes it, calls its followers.
import type { Operation, PlanNode } from "../core/plan.ts";
import type { StateEntry, StoreView } from "../core/state.ts";
import { contextOf, drop, present, type Cursor, type Waiting, type Wiring } from "./operators.ts";
import type { Stateful } from "./state-key.ts";

/** A step with state: queued records are worked on when the keys of the batch are in memory. */
export interface StatefulStep {
  /** The node. */
  readonly at: number;
  /** The store, by its name in the plan. */
  readonly store: string;
  work(waiting: Waiting, view: StoreView): void;
  /** Tells followers of a change that was held until the checkpoint. */
  tell(value: unknown): void;
}

export function stepOf(node: PlanNode, at: number, wiring: Wiring): StatefulStep | null {
  const { operation } = node;
  const work = workOf(operation, at, wiring);
  if (work === null) return null;
  const { store } = operation as Stateful;
  return { at, store: store.name, work, tell: wiring.next };
}

type Work = StatefulStep["work"];
type Of<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

function workOf(operation: Operation, at: number, wiring: Wiring): Work | null {
  if (operation.kind === "distinct") return distinct(operation, at, wiring);
  if (operation.kind === "aggregate") return aggregate(operation, at, wiring);
  return operation.kind === "map-with-state" ? mapWithState(operation, at, wiring) : null;
}

/**
 * The first of its kind passes. It is remembered for the span in stream time, counted from the moment it passed, so the
 * answer is the same however often the input is read, and state is bounded.
 */
function distinct({ store }: Of<"distinct">, at: number, { cursor, count, next }: Wiring): Work {
  const span = store.retentionMs ?? Infinity;
  return function distinctWork({ key, trail, value }, view) {
    if (key !== null) {
      const now = cursor.pass?.streamTimeMs(trail) ?? 0;
      const seen = view.get(key);
      if (seen !== null && now - seen.timestamp <= span) {
        trail.isRepeat = true;
        return drop(cursor, count, at);
      }
      view.set(key, { value: true, timestamp: now });
    }
    count.passed++;
    next(value);
  };
}

function aggregate(operation: Of<"aggregate">, at: number, wiring: Wiring): Work {
  const { init, add, emission } = operation;
  const { cursor, count, next } = wiring;
  return function aggregateWork({ key, trail, value }, view) {
    if (key === null) return;
    const context = contextOf(cursor);
    const old = view.get(key);
    const before = old === null ? init(context.key) : old.value;
    const after = present(add(before, value, context));
    if (after === null && old === null) return drop(cursor, count, at);
    const entry = entryOf(after, old, context.timestamp);
    view.set(key, entry);
    trail.emitted++;
    count.passed++;
    cursor.record = timed(cursor, entry ?? old);
    const told = after === null ? undefined : after;
    if (emission === "update") next(told);
    else cursor.pass?.held.push({ at, key: key.id, trail, record: cursor.record, value: told });
  };
}

/** An aggregate is as new as the newest record in it. */
const entryOf = (value: unknown, old: StateEntry | null, timestamp: number): StateEntry | null =>
  value === null ? null : { value, timestamp: Math.max(timestamp, old?.timestamp ?? timestamp) };

/** The record with the time of the entry that it has changed. */
function timed(cursor: Cursor, entry: StateEntry | null): Cursor["record"] {
  const { record } = cursor;
  const timestamp = Math.max(record.context.timestamp, entry?.timestamp ?? 0);
  if (timestamp === record.context.timestamp) return record;
  return { ...record, context: { ...record.context, timestamp } };
}

function mapWithState({ map }: Of<"map-with-state">, at: number, wiring: Wiring): Work {
  const { cursor, count, next } = wiring;
  return function mapWithStateWork({ key, trail, value }, view) {
    if (key === null) return;
    const context = contextOf(cursor);
    const old = view.get(key);
    const { state, emit } = map(old === null ? null : old.value, value, context);
    const before = old === null ? null : old.value;
    const hasChanged = present(state) !== before;
    // Also when it is the same object: a callback may have changed it in place.
    if (hasChanged || state !== null) view.set(key, entryOf(state, old, context.timestamp));
    if (hasChanged) trail.emitted++;
    let told = 0;
    for (const result of emit) {
      told++;
      next(present(result));
      cursor.step = at;
    }
    if (hasChanged || told > 0) count.passed++;
    else drop(cursor, count, at);
  };
}
