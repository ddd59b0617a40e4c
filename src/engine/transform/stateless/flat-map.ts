// flat-map: none, one or many values from one.
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf, drop, type MakeOperator, passEach } from "../operator.ts";

export interface FlatMap extends Operation {
  readonly kind: "flat-map";
  readonly fn: Callback<Iterable<unknown>>;
}

export const flatMapping: MakeOperator<FlatMap> = ({ operation: { fn } }, wiring) => {
  const { at, cursor, count, next } = wiring;
  return function flatMap(value) {
    cursor.step = at;
    if (value === undefined) {
      count.passed++;
      next(value);
    } else if (passEach(fn(value, contextOf(cursor)), wiring) > 0) count.passed++;
    else drop(wiring);
  };
};
