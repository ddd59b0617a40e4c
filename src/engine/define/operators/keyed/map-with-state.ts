// mapWithState: a value and the state of its key into new state and any number of values.
import type { OperatorFacts } from "../../../core/plan.ts";
import type { RecordContext } from "../../../core/record.ts";
import type { Schema } from "../../../core/schema.ts";
import { mappingWithState, type MapWithState } from "../../../transform/keyed/map-with-state.ts";
import type { Method, StreamNode } from "../../nodes/stream-node.ts";
import { inOrder } from "../order/order.ts";
import type { Orderable } from "../../windows.ts";
import { storeOf } from "../../store.ts";

/** The state that a record, or a tombstone, leaves its key, and the values that it emits. */
export interface StateStep<S, R> {
  readonly state: S | null;
  readonly emit: Iterable<R>;
}

export interface StateOptions<K, V, S, R> extends Orderable {
  readonly state: Schema<S>;
  readonly map: (state: S | null, value: V, record: RecordContext<K>) => StateStep<S, R>;
  /** The step of a deleted key. Default: none, and the tombstone goes no further. */
  readonly onTombstone?: (state: S | null, record: RecordContext<K>) => StateStep<S, R>;
}

declare module "../../stream.ts" {
  interface Stream<K, V> {
    /**
     * Makes new state and any number of values from a value and its key's state. A null state is none, or deletes it.
     * Emitted values are as new as the newest record of their key. Tombstones reach `onTombstone` only, or are dropped.
     * @example
     * stream.mapWithState("open-orders", {
     *   state: json<number>(),
     *   map: (n, order) => ({ state: (n ?? 0) + 1, emit: [{ ...order, n: (n ?? 0) + 1 }] }),
     *   onTombstone: (n, { key }) => ({ state: null, emit: n === null ? [] : [closed(key, n)] }),
     * });
     */
    mapWithState<S, R>(name: string, options: StateOptions<K, V, S, R>): Stream<K, R>;
  }
}

const facts: OperatorFacts = {
  ...{ work: mappingWithState, changes: true, folds: true },
  comesOut: "in-order",
};

export const mapWithState: Method = function mapWithState(
  this: StreamNode<unknown, unknown>,
  name: string,
  { state, map, onTombstone, order }: StateOptions<unknown, unknown, unknown, unknown>,
): StreamNode<unknown, unknown> {
  const store = storeOf(name, state.format);
  const also = onTombstone === undefined ? {} : { onTombstone };
  const operation: MapWithState = { kind: "map-with-state", store, map, ...also };
  const ordered = inOrder(name, operation, facts, order);
  return this.next(name, ordered.operation, ordered.facts);
};
