// The statements of a swap, in order: 1 foreign keys go · 2 the live table steps back · 3 the other takes its name ·
// 4 owner, rights, storage, comment · 5 foreign keys come back, checked · 6 views read the new table. Pure.
import { literal } from "../../core/identifier.ts";
import { named } from "../../provision/tables/ddl.ts";
import { arriving, carried, retiring, targetOf, type Renamed } from "./names.ts";
import type { Lacking, Pair } from "./obstacles.ts";
import type { Grant, Relation, View } from "./relation.ts";

/** A pair with the names that a swap needs. */
export interface Turn extends Pair {
  /** The name that the live table steps back to. */
  readonly retired: string;
  /** Names that the live table's declaration gives, by those of the incoming one. */
  readonly declared: ReadonlyMap<string, string>;
}

export function swapStatements(turns: readonly Turn[]): readonly string[] {
  const swapped = new Set(turns.map(({ live }) => `${live.schema}.${live.name}`));
  return [
    ...turns.flatMap((turn) => dropForeignKeys(turn, swapped)),
    ...turns.flatMap(({ live, retired }) => renameTable(live, retired, retiring(live, retired))),
    ...turns.flatMap(({ live, incoming, declared }) =>
      renameTable(incoming, live.name, arriving(live, incoming, declared)),
    ),
    ...turns.flatMap(({ live, incoming }) => dress(live, incoming)),
    ...turns.flatMap((turn) => addForeignKeys(turn, swapped)),
    ...viewsOf(turns).map(replaceView),
  ];
}

/** Each view once, though it may read several of the tables. */
export const viewsOf = (pairs: readonly Pair[]): readonly View[] => [
  ...new Map(
    pairs.flatMap(({ live }) => live.views).map((view) => [targetOf(view), view]),
  ).values(),
];

const dropConstraint = (table: string, name: string): string =>
  `ALTER TABLE ${table} DROP CONSTRAINT ${named(name)}`;

/** Drops foreign keys of and to the replaced table: it must not keep rows of others from being deleted. */
function dropForeignKeys({ live }: Turn, swapped: ReadonlySet<string>): string[] {
  const outgoing = live.constraints.filter(({ kind }) => kind === "f");
  return [
    ...outgoing.map(({ name }) => dropConstraint(targetOf(live), name)),
    ...incomingOf(live, swapped).map(({ schema, table, name }) =>
      dropConstraint(targetOf({ schema, name: table }), name),
    ),
  ];
}

/** The foreign keys from tables that are not swapped; a swapped table brings its own. */
export const incomingOf = (
  { incoming }: Relation,
  swapped: ReadonlySet<string>,
): Relation["incoming"] =>
  incoming.filter(({ schema, table }) => !swapped.has(`${schema}.${table}`));

function addForeignKeys({ live }: Turn, swapped: ReadonlySet<string>): string[] {
  const within = live.constraints.filter(
    ({ kind, refersTo }) => kind === "f" && refersTo !== null && swapped.has(refersTo),
  );
  return [
    ...within.flatMap((key) => addConstraint(targetOf(live), key)),
    ...incomingOf(live, swapped).flatMap((key) =>
      addConstraint(targetOf({ schema: key.schema, name: key.table }), key),
    ),
  ];
}

function addConstraint(
  table: string,
  key: { readonly name: string; readonly definition: string; readonly comment: string | null },
): string[] {
  const add = `ALTER TABLE ${table} ADD CONSTRAINT ${named(key.name)} ${key.definition}`;
  const { comment } = key;
  if (comment === null) return [add];
  return [add, `COMMENT ON CONSTRAINT ${named(key.name)} ON ${table} IS ${literal(comment)}`];
}

function renameTable(table: Relation, to: string, parts: readonly Renamed[]): string[] {
  const target = targetOf({ schema: table.schema, name: to });
  const rename = `ALTER TABLE ${targetOf(table)} RENAME TO ${named(to)}`;
  const changed = parts.filter((part) => part.from !== part.to);
  return [
    rename,
    ...changed.map((part) => {
      const names = `${named(part.from)} TO ${named(part.to)}`;
      if (part.kind === "constraint") return `ALTER TABLE ${target} RENAME CONSTRAINT ${names}`;
      const index = targetOf({ schema: table.schema, name: part.from });
      return `ALTER INDEX ${index} RENAME TO ${named(part.to)}`;
    }),
  ];
}

/** The incoming table has the live one's name already. */
function dress(live: Relation, incoming: Relation): string[] {
  const target = targetOf(live);
  const grantText = ({ privilege, column, grantee }: Grant, word: "TO" | "FROM"): string => {
    const on = column === null ? "" : ` (${named(column)})`;
    return `${privilege}${on} ON ${target} ${word} ${grantee}`;
  };
  const key = (grant: Grant): string => JSON.stringify(grant);
  const [had, has] = [live, incoming].map(({ grants }) => new Set(grants.map(key)));
  const taken = incoming.grants.filter((grant) => had?.has(key(grant)) !== true);
  const given = live.grants.filter((grant) => has?.has(key(grant)) !== true);
  const isBare = incoming.comment === null && live.comment !== null;
  return [
    ...(live.owner === incoming.owner ? [] : [`ALTER TABLE ${target} OWNER TO ${live.owner}`]),
    ...taken.map((grant) => `REVOKE ${grantText(grant, "FROM")}`),
    ...given.map(
      (grant) => `GRANT ${grantText(grant, "TO")}${grant.isGrantable ? " WITH GRANT OPTION" : ""}`,
    ),
    ...(live.options.length === 0
      ? []
      : [`ALTER TABLE ${target} SET (${live.options.join(", ")})`]),
    ...(isBare ? [`COMMENT ON TABLE ${target} IS ${literal(live.comment)}`] : []),
  ];
}

/** Keeps owner, rights and comment of the view, and every view that reads it. */
function replaceView({ schema, name, options, definition }: View): string {
  const within = options.length === 0 ? "" : ` WITH (${options.join(", ")})`;
  return `CREATE OR REPLACE VIEW ${targetOf({ schema, name })}${within} AS ${definition}`;
}

/** Creates what the incoming table lacks of the live one; it may take long, and nobody reads that table yet. */
export function lackingStatements({ live, incoming }: Pair, lacking: Lacking): readonly string[] {
  const target = targetOf(incoming);
  const to = (name: string): string => carried(name, live.name, incoming.name);
  return [
    ...lacking.constraints.flatMap((each) =>
      addConstraint(target, { ...each, name: each.kind === "f" ? each.name : to(each.name) }),
    ),
    ...lacking.indexes.map(
      ({ name, isUnique, definition }) =>
        `CREATE ${isUnique ? "UNIQUE " : ""}INDEX ${named(to(name))} ON ${target} ${definition.replace(/^CREATE (UNIQUE )?INDEX /, "")}`,
    ),
  ];
}
