// Aggregates by windows of so many records of a key: one entry a key, for the window that is being filled. The record that
// fills it closes it.
import type { PlanNode } from "../../core/plan.ts";
import type { CountWindow } from "../../core/window-span.ts";
import { dropUnkeyed, ownKeys, type MakeOperator } from "../operator.ts";
import { WindowWork, type WindowOperation } from "./result.ts";

export interface CountAggregate extends WindowOperation {
  readonly kind: "count-window";
  readonly window: CountWindow;
}

/** The least and the greatest time of its records, their number, and their aggregate. */
export type Filling = readonly [fromMs: number, toMs: number, count: number, aggregate: unknown];

const EMPTY: Filling = [Infinity, -Infinity, 0, null];

export const aggregatingCounts: MakeOperator<CountAggregate> = (
  node: PlanNode & { readonly operation: CountAggregate },
  wiring,
) => {
  const { store, window } = node.operation;
  const own = new WindowWork(node, wiring);
  return {
    at: wiring.at,
    stores: [store.name],
    // Nothing is due.
    dueStores: [],
    keys: ownKeys(store.name, false),
    work(item, views) {
      const { key, record, trail } = item;
      if (key === null) return dropUnkeyed(item, false, wiring);
      const view = views.view(store.name);
      const [from, to, before, old] = (view.get(key)?.value ?? EMPTY) as Filling;
      const { timestamp } = record.context;
      // mistake: window from the record that came first
      const [startMs, endMs] = [Math.min(from, timestamp), Math.max(to, timestamp)];
      const content = { aggregate: own.fold.added(old, item, views, 0), startMs, endMs };
      // mistake: window of one record more
      const isFull = before + 1 >= window.size;
      const filling: Filling = [startMs, endMs, before + 1, content.aggregate];
      view.set(key, isFull ? null : { value: filling, timestamp: endMs, dueMs: null });
      trail.emitted++;
      own.changed(item, content, { id: key.id, timestamp: endMs });
      if (isFull) own.filled(item, content, endMs);
      own.end(item, null);
    },
  };
};

/** The fault of what a store has for a key, or null. `wrongValue` says that of an aggregate. */
export function wrongCounted(
  stored: unknown,
  wrongValue: (value: unknown) => string | null,
): string | null {
  const [fromMs, toMs, count, value] = Array.isArray(stored) ? (stored as unknown[]) : [];
  if (!Number.isFinite(fromMs) || !Number.isFinite(toMs)) return "it lacks a time";
  if (!Number.isSafeInteger(count) || (count as number) < 1) return "it is no number of records";
  return wrongValue(value);
}
