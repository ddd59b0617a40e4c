// peek: looks at each value and changes nothing.
import { settled } from "../../core/mistake.ts";
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf } from "../cursor.ts";
import type { Work } from "../operator.ts";

export interface Peek extends Operation {
  readonly kind: "peek";
  readonly fn: Callback<void>;
}

export const peeking: Work<Peek> = ({ operation: { fn } }, { at, cursor, count, next }) =>
  function peek(value) {
    cursor.step = at;
    if (value !== undefined) settled(fn(value, contextOf(cursor)));
    count.passed++;
    next(value);
  };

/** Of operators that do nothing to a value: sources, streams that meet, arms of a branch. */
export const passing: Work =
  (_node, { count, next }) =>
  (value) => {
    count.passed++;
    next(value);
  };
