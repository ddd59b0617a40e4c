// map: one value from one value.
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf, type MakeOperator, present } from "../operator.ts";

export interface MapOperation extends Operation {
  readonly kind: "map";
  readonly fn: Callback<unknown>;
}

export const mapping: MakeOperator<MapOperation> = (
  { operation: { fn } },
  { at, cursor, count, next },
) =>
  function map(value) {
    cursor.step = at;
    const result = value === undefined ? undefined : present(fn(value, contextOf(cursor)));
    count.passed++;
    next(result);
  };
