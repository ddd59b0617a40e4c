// Why a table cannot take another's place, and what it must be given first. Names what is in the way. Pure.
import { checkComment } from "../../provision/tables/ddl.ts";
import { ownConstraints, ownIndexes, paired } from "./names.ts";
import type { Constraint, Index, Relation } from "./relation.ts";

/** The two tables of one swap. */
export interface Pair {
  readonly live: Relation;
  readonly incoming: Relation;
}

export interface Lacking {
  readonly constraints: readonly Constraint[];
  readonly indexes: readonly Index[];
}

/** Constraints and indexes that the live table has by hand and the incoming one lacks. `swapped` are `schema.table` of all live tables. */
export function lackingOf({ live, incoming }: Pair, swapped: ReadonlySet<string>): Lacking {
  const counterparts = paired<Constraint>(live.constraints, incoming.constraints);
  const found = new Set(counterparts.values());
  const constraints = live.constraints.filter(
    (constraint) => !found.has(constraint) && isCopied(constraint, swapped),
  );
  const indexed = new Set(paired<Index>(ownIndexes(live), ownIndexes(incoming)).values());
  const indexes = ownIndexes(live).filter((index) => index.isValid && !indexed.has(index));
  return { constraints, indexes };
}

/** A declared check is what the declaration says now; null is allowed where the declaration allows it. */
function isCopied({ kind, comment, refersTo }: Constraint, swapped: ReadonlySet<string>): boolean {
  if (kind === "f") return refersTo === null || !swapped.has(refersTo);
  if (kind === "c") return comment?.startsWith(checkComment("")) !== true;
  return kind === "u" || kind === "x";
}

/** Everything that forbids the swap, one line each; empty: it can be done. */
export function obstaclesOf({ live, incoming }: Pair): readonly string[] {
  const at = `${live.schema}.${live.name}`;
  const own = [live, incoming]
    .filter(({ isOurs }) => !isOurs)
    .map(({ name, owner }) => `table ${name} belongs to ${owner}`);
  const views = live.views
    .filter(({ isOurs }) => !isOurs)
    .map(({ schema, name, owner }) => `view ${schema}.${name} belongs to ${owner}`);
  const others = live.incoming
    .filter(({ isOurs }) => !isOurs)
    .map(
      ({ schema, table, name }) => `foreign key ${name} of ${schema}.${table} is another role's`,
    );
  return [...live.blockers, ...own, ...views, ...others, ...columnsApart(live, incoming)].map(
    (what) => `${at}: ${what}`,
  );
}

function columnsApart(live: Relation, incoming: Relation): string[] {
  const types = new Map(incoming.columns.map(({ name, type }) => [name, type]));
  const columns = live.columns.flatMap(({ name, type }) => {
    const other = types.get(name);
    if (other === undefined) return [`column ${name} is not in ${incoming.name}`];
    return other === type ? [] : [`column ${name}: ${type}, in ${incoming.name} ${other}`];
  });
  const keyOf = (relation: Relation): string =>
    ownConstraints(relation).find(({ kind }) => kind === "p")?.definition ?? "none";
  const isSameKey = keyOf(live) === keyOf(incoming);
  return isSameKey ? columns : [...columns, `primary key of ${incoming.name} is another`];
}
