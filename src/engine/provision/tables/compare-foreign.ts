// A table that others have made, beside its declaration. Nothing of it is changed: what rows need and the table lacks is
// SQL for its owner, and what is merely different stays as it is. Pure.
import { quoted } from "../../core/identifier.ts";
import { addedColumns } from "../../core/table-layout.ts";
import { extraColumns, isWider, otherKind, refused, type TableStep } from "./compare.ts";
import { changeNull, changeType, createIndex, named, shortened, targetOf } from "./ddl.ts";
import { MADE_HERE, type DesiredColumn, type DesiredTable } from "./desired.ts";
import type { FoundColumn, FoundTable } from "./found.ts";

/**
 * Whether `tables apply` has made the table. Release 0.1.0 left no mark: its tables have every column that we add, without the
 * defaults that the SQL for an owner gives them.
 */
export function isMadeHere(desired: DesiredTable, found: FoundTable): boolean {
  if (desired.schema === "millrace") return true;
  const columnOf = (name: string) => found.columns.find((column) => column.name === name);
  if (columnOf(addedColumns.processedAt)?.comment === MADE_HERE) return true;
  const added: readonly string[] = Object.values(addedColumns);
  return desired.columns
    .filter(({ name }) => added.includes(name))
    .every(({ name, type, nullable }) => {
      const column = columnOf(name);
      return column?.type === type && column.nullable === nullable && !column.isFilled;
    });
}

export function compareForeign(desired: DesiredTable, found: FoundTable): TableStep[] {
  if (!found.isTable) return [otherKind(desired, found)];
  return [
    ...desired.columns.flatMap((column) => compareColumn(column, desired, found)),
    ...compareKey(desired, found),
    ...extraColumns(desired, found),
  ];
}

/** The facts of such a table that keep no row from being written. */
export function notesOnForeign(desired: DesiredTable, found: FoundTable): string[] {
  const mayBeNull = ({ name, fill }: DesiredColumn): boolean =>
    fill !== null && found.columns.some((column) => column.name === name && column.nullable);
  return [
    "made by others: its columns, rights, constraints and comments are left alone",
    ...desired.indexes
      .filter((index) => !found.indexes.some((other) => other.join() === index.join()))
      .map(
        (index) =>
          `no index on ${index.join(", ")}; its owner may run: ${createIndex(desired, index)};`,
      ),
    ...desired.columns
      .filter(mayBeNull)
      .map(({ name }) => `${name} may be null: a row where it is null is never replaced`),
  ];
}

function compareColumn(
  column: DesiredColumn,
  desired: DesiredTable,
  table: FoundTable,
): TableStep[] {
  const found = table.columns.find(({ name }) => name === column.name);
  if (found === undefined) return [missingColumn(column, desired, table)];
  const isTooStrict = column.nullable && !found.nullable;
  return [
    ...compareType(column, found, desired),
    ...(isTooStrict ? [refused(`${column.name}: allow null`, changeNull(desired, column))] : []),
  ];
}

function missingColumn(column: DesiredColumn, desired: DesiredTable, found: FoundTable): TableStep {
  const { name, type, nullable } = column;
  const text = `add column ${name} ${type}`;
  const isKey = desired.key.includes(name);
  if (isKey && found.hasRows)
    return refused(`${text}, which is in the key, and has rows: fill it, or declare another key`);
  const value = column.default ?? column.fill;
  // Others may insert rows without it.
  const rest = value === null ? (isKey ? " NOT NULL" : "") : filled(value, nullable);
  const sql = `ALTER TABLE ${targetOf(desired)} ADD COLUMN ${quoted(name)} ${type}${rest}`;
  return refused(text, sql);
}

const filled = (value: string, nullable: boolean): string =>
  ` DEFAULT ${value}${nullable ? "" : " NOT NULL"}`;

/** Every declared value is one of a wider type, too. */
function compareType(
  column: DesiredColumn,
  found: FoundColumn,
  desired: DesiredTable,
): TableStep[] {
  if (column.type === found.type || isWider(column.type, found.type)) return [];
  const text = `${column.name}: expected type ${column.type}, found ${found.type}`;
  const cast = isWider(found.type, column.type)
    ? ""
    : ` USING ${quoted(column.name)}::${column.type}`;
  return [refused(text, `${changeType(desired, column)}${cast}`)];
}

/** Any unique index on the key's columns finds conflicts, in whatever order it has them. */
function compareKey(desired: DesiredTable, found: FoundTable): TableStep[] {
  const { key } = desired;
  const isKey = (names: readonly string[]): boolean => names.toSorted().join() === wanted;
  const wanted = key.toSorted().join();
  if (found.uniques.some(isKey)) return [];
  const has = found.key.length === 0 ? "none" : found.key.join(", ");
  const columns = key.map(quoted).join(", ");
  const name = named(shortened([desired.name, ...key, "key"].join("_")));
  const adds =
    found.keyName === null
      ? `ADD PRIMARY KEY (${columns})`
      : `ADD CONSTRAINT ${name} UNIQUE (${columns})`;
  const sql = `ALTER TABLE ${targetOf(desired)} ${adds}`;
  return [refused(`unique key: expected ${key.join(", ")}, found ${has}`, sql)];
}
