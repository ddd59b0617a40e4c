// map-with-state: a value and the state of its key into new state and any number of values.
import { settled } from "../../core/errors.ts";
import type { Operation, PlanStore } from "../../core/plan.ts";
import type { RecordContext } from "../../core/record.ts";
import type { StateEntry } from "../../core/state.ts";
import {
  contextOf,
  drop,
  dropUnkeyed,
  forgetting,
  type Item,
  lastingEntry,
  type MakeOperator,
  NEVER,
  ownKeys,
  passEach,
  present,
  storedOf,
  timed,
} from "../operator.ts";

/** The new state, and what is emitted downstream. */
interface Stepped {
  readonly state: unknown;
  readonly emit: Iterable<unknown>;
}

export interface MapWithState extends Operation {
  readonly kind: "map-with-state";
  readonly store: PlanStore;
  readonly map: (state: unknown, value: unknown, record: RecordContext) => Stepped;
  /** The step of a tombstone. Without it, tombstones are dropped. */
  readonly onTombstone?: (state: unknown, record: RecordContext) => Stepped;
}

export const mappingWithState: MakeOperator<MapWithState> = ({ operation }, wiring) => {
  const { store } = operation;
  const { at, cursor, count } = wiring;
  const takes = operation.onTombstone !== undefined;
  return {
    at,
    stores: [store.name],
    keys: ownKeys(store.name, takes),
    work(item, views) {
      const { key, trail, value } = item;
      if (key === null) return dropUnkeyed(item, takes, wiring);
      const view = views.view(store.name);
      const record = contextOf(cursor);
      const old = storedOf(view, key, item.origin.time);
      const { state, emit } = stepped(operation, old.value, value, record);
      const hasChanged = present(state) !== old.value;
      const entry = lastingEntry(state, newestOf(item, old));
      // Also when it is the same object: a callback may have changed it in place.
      if (hasChanged || state !== null) view.set(key, entry);
      if (hasChanged) trail.emitted++;
      // mistake: own time
      cursor.record = timed(cursor, entry.timestamp);
      const emitted = passEach(emit, wiring);
      // A key without state keeps the time of its newest output, so that no older output follows it.
      if (emitted > 0 && entry.value === null && entry.timestamp > old.timestamp)
        view.set(key, entry);
      if (hasChanged || emitted > 0) count.passed++;
      else drop(wiring);
    },
    due: forgetting(store.name),
  };
};

/** Only a step with `onTombstone` is given one. */
function stepped(
  { map, onTombstone }: MapWithState,
  state: unknown,
  value: unknown,
  record: RecordContext,
): Stepped {
  const isTaken = value === undefined && onTombstone !== undefined;
  // mistake: tombstone keeps state
  return settled(isTaken ? onTombstone(state, record) : map(state, value, record));
}

/**
 * The time of a result, as new as the newest record of its key, or a late record would lose its effect to the older result
 * in a table. A tombstone has no event time where the value has it: its key keeps the time that it has.
 */
function newestOf(item: Item, old: StateEntry): number {
  const { record, value } = item;
  const { timestamp } = record.context;
  if (value !== undefined || record.isUntimed !== true) return Math.max(timestamp, old.timestamp);
  if (old.timestamp !== NEVER.timestamp) return old.timestamp;
  const { time } = item.origin;
  return time < 0 ? timestamp : time;
}
