// peek: looks at each value and changes nothing.
import { settled } from "../../core/mistake.ts";
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf } from "../cursor.ts";
import type { MakeOperator } from "../operator.ts";

export interface Peek extends Operation {
  readonly kind: "peek";
  readonly fn: Callback<void>;
}

export const peeking: MakeOperator<Peek> = ({ operation: { fn } }, { at, cursor, count, next }) =>
  function peek(value) {
    cursor.step = at;
    if (value !== undefined) settled(fn(value, contextOf(cursor)));
    count.passed++;
    next(value);
  };

/** Of operators that do nothing to a value: sources, streams that meet, arms of a branch. */
export const passing: MakeOperator =
  (_node, { count, next }) =>
  (value) => {
    count.passed++;
    next(value);
  };
