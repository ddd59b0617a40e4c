// peek: looks at each value and changes nothing.
import { settled } from "../../core/errors.ts";
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf, type MakeOperator } from "../operator.ts";

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
