// Names in a swap: a table that steps back takes its indexes and constraints with it under its new name, and the one that
// comes gets theirs. Equal things are found by their definitions, so the same rules lead back in an undo. Pure.
import { layoutOf, type TableSpec } from "../../core/table-layout.ts";
import { checkName, indexName, named, shortened } from "../../provision/tables/ddl.ts";
import { desiredTable } from "../../provision/tables/desired.ts";
import type { Constraint, Index, Relation } from "./relation.ts";

export const targetOf = (at: { readonly schema: string; readonly name: string }): string =>
  `${named(at.schema)}.${named(at.name)}`;

/** `orders_pkey` of `orders` is `orders_old_7_pkey` of `orders_old_7`. */
export function carried(name: string, from: string, to: string): string {
  if (name === from || name.startsWith(`${from}_`)) return shortened(to + name.slice(from.length));
  const suffix = to.startsWith(from) ? to.slice(from.length) : "";
  if (suffix !== "") return shortened(name + suffix);
  // Back from a name that had the suffix added.
  const added = from.startsWith(to) ? from.slice(to.length) : "";
  return added !== "" && name.endsWith(added) ? name.slice(0, -added.length) : name;
}

/** Names of checks and indexes that a declaration gives, by those that it would give under the incoming name. */
export function declaredNames(table: TableSpec, incoming: string): ReadonlyMap<string, string> {
  const live = desiredTable(layoutOf(table));
  const other = { ...live, name: incoming };
  const checked = live.columns.filter(({ check }) => check !== null);
  return new Map([
    ...checked.map(({ name }): [string, string] => [checkName(other, name), checkName(live, name)]),
    ...live.indexes.map((columns): [string, string] => [
      indexName(other, columns),
      indexName(live, columns),
    ]),
  ]);
}

interface NamedRelation {
  readonly name: string;
}
export interface Renamed {
  readonly kind: "constraint" | "index";
  readonly from: string;
  readonly to: string;
}

const signature = (part: Constraint | Index): string =>
  "kind" in part
    ? `${part.kind} ${part.definition}`
    : `${part.isUnique ? "unique " : ""}${part.definition}`;

/** Pairs of equal definition; each is used once. */
export function paired<P extends (Constraint | Index) & NamedRelation>(
  live: readonly P[],
  incoming: readonly P[],
): ReadonlyMap<P, P> {
  const left = new Set(live);
  const pairs = new Map<P, P>();
  for (const part of incoming) {
    const counterpart = [...left].find((other) => signature(other) === signature(part));
    if (counterpart === undefined) continue;
    left.delete(counterpart);
    pairs.set(part, counterpart);
  }
  return pairs;
}

/** Indexes that belong to no constraint. */
export const ownIndexes = ({ indexes }: Relation): readonly Index[] =>
  indexes.filter((index) => !index.isConstraint);
/** Foreign keys are dropped and added, never renamed. */
export const ownConstraints = ({ constraints }: Relation): readonly Constraint[] =>
  constraints.filter(({ kind }) => kind !== "f");

const renamed = (table: Relation, to: (part: NamedRelation) => string): readonly Renamed[] => [
  ...ownConstraints(table).map((part) => ({
    kind: "constraint" as const,
    from: part.name,
    to: to(part),
  })),
  ...ownIndexes(table).map((part) => ({ kind: "index" as const, from: part.name, to: to(part) })),
];

export const retiring = (live: Relation, retired: string): readonly Renamed[] =>
  renamed(live, ({ name }) => carried(name, live.name, retired));

/** `declared` has the names that the declaration of the live table gives, by those of the incoming one. */
export function arriving(
  live: Relation,
  incoming: Relation,
  declared: ReadonlyMap<string, string>,
): readonly Renamed[] {
  const counterparts: ReadonlyMap<NamedRelation, NamedRelation> = new Map([
    ...paired<Constraint>(ownConstraints(live), ownConstraints(incoming)),
    ...paired<Index>(ownIndexes(live), ownIndexes(incoming)),
  ] as [NamedRelation, NamedRelation][]);
  return renamed(
    incoming,
    (part) =>
      declared.get(part.name) ??
      counterparts.get(part)?.name ??
      carried(part.name, incoming.name, live.name),
  );
}
