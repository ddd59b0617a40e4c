// aggregate: one value of all records of a key. Every sum, count and mean is a composition of it.
import { settled } from "../../core/errors.ts";
import type { Operation, PlanStore } from "../../core/plan.ts";
import type { RecordContext } from "../../core/record.ts";
import {
  contextOf,
  drop,
  dropUnkeyed,
  forgetting,
  lastingEntry,
  type MakeOperator,
  ownKeys,
  present,
  storedOf,
  timed,
} from "../operator.ts";

export interface Aggregate extends Operation {
  readonly kind: "aggregate";
  readonly store: PlanStore;
  readonly init: (key: unknown) => unknown;
  /** Null deletes the aggregate. */
  readonly add: (aggregate: unknown, value: unknown, record: RecordContext) => unknown;
  /** Which changes are emitted downstream: each, or the last of a key at a checkpoint. */
  readonly emission: "update" | "checkpoint";
}

export const aggregating: MakeOperator<Aggregate> = ({ operation }, wiring) => {
  const { store, init, add, emission } = operation;
  const { at, cursor, count, next } = wiring;
  return {
    at,
    stores: [store.name],
    keys: ownKeys(store.name, false),
    work(item, views) {
      const { key, trail, value } = item;
      if (key === null) return dropUnkeyed(item, false, wiring);
      const view = views.view(store.name);
      const context = contextOf(cursor);
      const old = storedOf(view, key, item.origin.time);
      const before = old.value === null ? settled(init(context.key)) : old.value;
      const after = present(add(before, value, context));
      if (after === null && old.value === null) return drop(wiring);
      const timestamp = Math.max(context.timestamp, old.timestamp);
      view.set(key, lastingEntry(after, timestamp));
      trail.emitted++;
      count.passed++;
      const record = (cursor.record = timed(cursor, timestamp));
      const result = after === null ? undefined : after;
      if (emission === "update") next(result);
      else cursor.queues?.deferred.push({ at, key: key.id, trail, record, value: result });
    },
    due: forgetting(store.name),
  };
};
