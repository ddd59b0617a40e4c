// Bounds of what a key may have in state, as options of operators.
import type { MillraceError } from "../../../core/errors.ts";
import type { PlanNode } from "../../../core/plan.ts";
import type { RecordCount } from "../../../core/span.ts";
import type { KeyBound, WhenFull } from "../../../transform/bounds/bound.ts";
import { problem } from "../../nodes/problem.ts";

const RULES: readonly unknown[] = ["dead-letter", "halt", "evict"] satisfies WhenFull[];

/** The bound that options ask for; types are stripped at run time, so it may be none yet. */
export const boundOf = (most: unknown, whenFull: unknown): { readonly bound?: KeyBound } =>
  most === undefined && whenFull === undefined
    ? {}
    : { bound: { most: most as number, whenFull: whenFull as WhenFull } };

/** The problems of a node's bound. `option` is the name of its number, `least` the least that it may be. */
export function boundProblems(
  node: PlanNode,
  bound: KeyBound | undefined,
  { option, least, rules = RULES }: BoundRules,
): MillraceError[] {
  if (bound === undefined) return [];
  const { most, whenFull } = bound;
  const isNumber = Number.isSafeInteger(most) && most >= least;
  const names = rules.map((rule) => JSON.stringify(rule)).join(" or ");
  const details = [
    ...(isNumber ? [] : [`it needs ${option}, a whole number of ${String(least)} or more`]),
    ...(rules.includes(whenFull) ? [] : [`it needs whenFull: ${names}`]),
  ];
  return details.map((detail) => problem("MILL_BUILD_OPTION", node, detail));
}

export interface BoundRules {
  readonly option: string;
  readonly least: number;
  /** Default: all. */
  readonly rules?: readonly unknown[];
}

/** The facts of a bound for a plan. */
export const shownBound = (
  bound: KeyBound | undefined,
  option: string,
): Readonly<Record<string, string>> =>
  bound === undefined ? {} : { [option]: String(bound.most), whenFull: bound.whenFull };

/** The options of a bound of records. */
export interface RecordBoundOptions {
  readonly recordsMax?: RecordCount;
  readonly whenFull?: WhenFull;
}

/** A record that waits goes nowhere ahead of its time: what it waits for would be missed. */
export const recordRules: BoundRules = {
  option: "recordsMax",
  least: 1,
  rules: ["dead-letter", "halt"],
};

export const recordBoundOf = ({
  recordsMax,
  whenFull,
}: RecordBoundOptions): ReturnType<typeof boundOf> => {
  // Types are stripped at run time: what is missing is a problem of the node.
  const most =
    recordsMax === undefined ? undefined : ((recordsMax as Partial<RecordCount>).records ?? NaN);
  return boundOf(most, whenFull);
};
