// Ours beside Kafka Streams', case by case. A difference is assigned to the rules of time.md that make it: exchanged for
// those of Kafka Streams, they give its rows exactly. One that no rule explains is an error, and so is a row of ours that
// is not what our rules say.
import { isDeepStrictEqual } from "node:util";
import type { Case, Operator } from "./cases.ts";
import { joinRows } from "./reference/join.ts";
import { type Exchanged, type Reference, type Rule } from "./reference/rows.ts";
import { sessionRows } from "./reference/session.ts";
import { slidingRows } from "./reference/sliding.ts";
import { windowRows } from "./reference/windows.ts";

const references: Record<Operator["kind"], Reference> = {
  tumbling: windowRows,
  hopping: windowRows,
  sliding: slidingRows,
  session: sessionRows,
  join: joinRows,
};

const rulesOf: Record<Operator["kind"], readonly Rule[]> = {
  tumbling: ["row time"],
  hopping: ["row time"],
  sliding: ["row time", "sliding windows"],
  session: ["session late", "session close"],
  join: ["join late", "join kept", "join unmatched"],
};

const NONE: Exchanged = new Set();

export const reference: Reference = (one, exchanged) =>
  references[one.operator.kind](one, exchanged);

/** Our rows of a case. */
export type Subject = (one: Case) => Promise<readonly string[]> | readonly string[];
export const byReference: Subject = (one) => reference(one, NONE).rows;

const sorted = (rows: readonly string[]): readonly string[] => [...rows].sort();
const same = (a: readonly string[], b: readonly string[]): boolean =>
  isDeepStrictEqual(sorted(a), sorted(b));

/** The fewest rules that explain what Kafka Streams says; null: none do. */
export function rulesBetween(one: Case, theirs: readonly string[]): readonly Rule[] | null {
  const ways = subsetsOf(rulesOf[one.operator.kind]);
  return ways.find((rules) => same(reference(one, new Set(rules)).rows, theirs)) ?? null;
}

/** The smaller ones first. */
const subsetsOf = <T>(list: readonly T[]): readonly (readonly T[])[] =>
  list
    .reduce<T[][]>((all, one) => [...all, ...all.map((some) => [...some, one])], [[]])
    .sort((a, b) => a.length - b.length);

export interface Comparison {
  readonly same: number;
  readonly rows: number;
  /** Cases with a record that is late by our rules. */
  readonly late: number;
  /** Cases by the rules that explain them. */
  readonly assigned: ReadonlyMap<Rule, number>;
  /** Cases that no rule explains, each with both answers. */
  readonly unexplained: readonly string[];
}

export async function compared(
  cases: readonly Case[],
  theirs: readonly (readonly string[])[],
  subject: Subject,
): Promise<Comparison> {
  const assigned = new Map<Rule, number>();
  const unexplained: string[] = [];
  let [equal, rows, late] = [0, 0, 0];
  for (const [i, one] of cases.entries()) {
    const answer = reference(one, NONE);
    const ours = await subject(one);
    const their = theirs[i] ?? [];
    rows += ours.length;
    late += answer.late > 0 ? 1 : 0;
    const rules = rulesBetween(one, their);
    if (rules === null || !same(ours, answer.rows)) unexplained.push(shown(one, ours, their));
    else if (rules.length === 0) equal++;
    for (const rule of rules ?? []) assigned.set(rule, (assigned.get(rule) ?? 0) + 1);
  }
  return { same: equal, rows, late, assigned, unexplained };
}

const shown = (one: Case, ours: readonly string[], theirs: readonly string[]): string =>
  JSON.stringify({ ...one, ours: minus(ours, theirs), theirs: minus(theirs, ours) }, null, 1);

function minus(rows: readonly string[], others: readonly string[]): readonly string[] {
  const rest = [...others];
  return rows.filter((row) => {
    const at = rest.indexOf(row);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}
