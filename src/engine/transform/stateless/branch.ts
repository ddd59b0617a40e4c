// branch: each record takes the arm of the first test that is true, else the last arm. Arms are the nodes that follow.
import { settled } from "../../core/errors.ts";
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf, type MakeOperator } from "../operator.ts";

export interface Branch extends Operation {
  readonly kind: "branch";
  readonly tests: readonly Callback<boolean>[];
}

export const branching: MakeOperator<Branch> = ({ operation: { tests } }, wiring) => {
  const { at, cursor, count, next, arms } = wiring;
  return function branch(value) {
    cursor.step = at;
    if (value === undefined) {
      count.passed++;
      next(value);
      return;
    }
    const first = tests.findIndex((test) => settled(test(value, contextOf(cursor))));
    const arm = arms[first < 0 ? tests.length : first];
    const { trail } = cursor;
    const before = trail.emitted;
    // An arm that nothing follows drops the record here; a step behind it that drops says so itself.
    trail.last = at;
    arm?.(value);
    if (trail.emitted === before && trail.last === at) count.dropped++;
    else count.passed++;
  };
};
