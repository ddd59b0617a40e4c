// filter: records whose test is true. That of a table deletes downstream what does not pass.
import { settled } from "../../core/errors.ts";
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf, drop, type MakeOperator } from "../operator.ts";

export interface Filter extends Operation {
  readonly kind: "filter" | "table-filter";
  readonly test: Callback<boolean>;
}

export const filtering: MakeOperator<Filter> = ({ operation: { test } }, wiring) => {
  const { at, cursor, count, next } = wiring;
  return function filter(value) {
    cursor.step = at;
    if (value !== undefined && !settled(test(value, contextOf(cursor)))) return drop(wiring);
    count.passed++;
    next(value);
  };
};

export const tableFiltering: MakeOperator<Filter> = (
  { operation: { test } },
  { at, cursor, count, next },
) =>
  function tableFilter(value) {
    cursor.step = at;
    const passes = value !== undefined && settled(test(value, contextOf(cursor)));
    count.passed++;
    next(passes ? value : undefined);
  };
