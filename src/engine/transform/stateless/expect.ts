// expect: a rule of data quality.
import { MillraceError, settled } from "../../core/errors.ts";
import type { Callback, Operation } from "../../core/plan.ts";
import { contextOf, drop, type MakeOperator } from "../operator.ts";

export interface Expect extends Operation {
  readonly kind: "expect";
  readonly test: Callback<boolean>;
  /** The treatment of a record that breaks the rule. */
  readonly otherwise: "log" | "drop" | "dead-letter" | "halt";
  readonly dimension: string | null;
}

export const expecting: MakeOperator<Expect> = (
  { name, operation: { test, otherwise } },
  wiring,
) => {
  const { at, cursor, count, next, options } = wiring;
  return function expect(value) {
    cursor.step = at;
    if (value !== undefined && !settled(test(value, contextOf(cursor)))) {
      if (otherwise === "drop") return drop(wiring);
      if (otherwise !== "log") {
        const code = otherwise === "halt" ? "MILL_RULE_HALT" : "MILL_RULE_BROKEN";
        throw new MillraceError(code, `expect "${name}"`);
      }
      options.onBroken(name);
    }
    count.passed++;
    next(value);
  };
};
