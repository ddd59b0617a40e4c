// The difference between a declared table and the one that is there, as steps. A step that could lose data, or that
// Postgres could not do, has no statements: it is refused, and a person decides. Pure.
import type { ErrorCode } from "../../core/error-table.ts";
import { quoted } from "../../core/identifier.ts";
import {
  addCheck,
  addColumn,
  changeNull,
  changeType,
  checkComment,
  checkName,
  commentOnColumn,
  commentOnTable,
  createIndex,
  createTable,
  dropCheck,
  named,
  shortened,
  targetOf,
} from "./ddl.ts";
import type { DesiredColumn, DesiredTable } from "./desired.ts";
import type { FoundColumn, FoundTable } from "./found.ts";

export interface TableStep {
  /** The difference, in words. */
  readonly text: string;
  /** The statements to run; null: refused. */
  readonly sql: readonly string[] | null;
  /** Without this step rows cannot be written. */
  readonly isNeeded: boolean;
  /** The statements that the table's owner may run where the step is refused. */
  readonly owner?: readonly string[];
  /** Why a worker does not start; MILL_TABLE_DIFFERS unless it is said. */
  readonly code?: ErrorCode;
}

const step = (text: string, sql: readonly string[] | null, isNeeded = true): TableStep => ({
  text,
  sql,
  isNeeded,
});
export const refused = (text: string, ...owner: readonly string[]): TableStep => ({
  ...step(text, null),
  owner,
});

/** A table that `apply` makes, or has made: it is changed to what is declared. */
export function compareTable(desired: DesiredTable, found: FoundTable | null): TableStep[] {
  if (found === null) return [step("create the table", createTable(desired))];
  if (!found.isTable) return [otherKind(desired, found)];
  if (isSuperseded(desired, found)) return [step("make the empty table anew", makeAnew(desired))];
  return [
    ...compareKey(desired, found),
    ...desired.columns.flatMap((column) => compareColumn(column, desired, found)),
    ...extraColumns(desired, found),
    ...desired.indexes
      .filter((index) => !found.indexes.some((other) => other.join() === index.join()))
      .map((index) =>
        step(`add an index on ${index.join(", ")}`, [createIndex(desired, index)], false),
      ),
    ...(isSaid(desired.comment, found.comment)
      ? []
      : [step("change the table's comment", [commentOnTable(desired)], false)]),
  ];
}

/** A comment that nobody declares is left alone. */
const isSaid = (declared: string | null, found: string | null): boolean =>
  declared === null || declared === found;

/** A table of ours that an earlier release made and nobody has used. */
const isSuperseded = ({ schema, key }: DesiredTable, found: FoundTable): boolean =>
  schema === "millrace" && !found.hasRows && key.join() !== found.key.join();
const makeAnew = (desired: DesiredTable): string[] => [
  `DROP TABLE ${targetOf(desired)}`,
  ...createTable(desired),
];

function compareKey(desired: DesiredTable, found: FoundTable): TableStep[] {
  const { key } = desired;
  if (key.join() === found.key.join()) return [];
  const has = found.key.length === 0 ? "none" : found.key.join(", ");
  const old = found.keyName === null ? "" : `DROP CONSTRAINT ${named(found.keyName)}, `;
  const sql = `ALTER TABLE ${targetOf(desired)} ${old}ADD PRIMARY KEY (${key.map(quoted).join(", ")})`;
  return [refused(`primary key: expected ${key.join(", ")}, found ${has}`, sql)];
}

/** As pg_class.relkind has them, with the word that ALTER takes. */
const kinds: Readonly<Record<string, string>> = {
  v: "VIEW",
  m: "MATERIALIZED VIEW",
  f: "FOREIGN TABLE",
  S: "SEQUENCE",
  i: "INDEX",
  c: "TYPE",
};

export function otherKind(desired: DesiredTable, { kind }: FoundTable): TableStep {
  const word = kinds[kind] ?? "TABLE";
  const sql = `ALTER ${word} ${targetOf(desired)} RENAME TO ${named(`${desired.name}_old`)}`;
  return refused(`something else than a table has this name: a ${word.toLowerCase()}`, sql);
}

function compareColumn(
  column: DesiredColumn,
  desired: DesiredTable,
  table: FoundTable,
): TableStep[] {
  const found = table.columns.find(({ name }) => name === column.name);
  if (found === undefined) return [missingColumn(column, desired, table)];
  const comment = [commentOnColumn(desired, column)];
  return [
    ...compareType(column, found, desired),
    ...compareNull(column, found, desired),
    ...compareCheck(column, desired, table),
    ...(isSaid(column.comment, found.comment)
      ? []
      : [step(`${column.name}: change the comment`, comment, false)]),
  ];
}

function missingColumn(column: DesiredColumn, desired: DesiredTable, found: FoundTable): TableStep {
  const text = `add column ${column.name} ${column.type}`;
  const isFillable = column.nullable || column.default !== null || !found.hasRows;
  return isFillable
    ? step(text, addColumn(desired, column))
    : refused(`${text}: it is NOT NULL, has no default, and the table has rows`);
}

function compareType(column: DesiredColumn, found: FoundColumn, table: DesiredTable): TableStep[] {
  if (column.type === found.type) return [];
  const text = `${column.name}: expected type ${column.type}, found ${found.type}`;
  const sql = changeType(table, column);
  if (isWider(found.type, column.type)) return [step(text, [sql])];
  return [refused(text, `${sql} USING ${quoted(column.name)}::${column.type}`)];
}

function compareNull(column: DesiredColumn, found: FoundColumn, table: DesiredTable): TableStep[] {
  if (column.nullable === found.nullable) return [];
  const sql = [changeNull(table, column)];
  return column.nullable
    ? [step(`${column.name}: allow null`, sql)]
    : [step(`${column.name}: forbid null`, sql, false)];
}

function compareCheck(
  column: DesiredColumn,
  desired: DesiredTable,
  found: FoundTable,
): TableStep[] {
  const name = checkName(desired, column.name);
  const has = found.checks.find((check) => check.name === name);
  const expected = column.check === null ? undefined : checkComment(column.check);
  if (has?.comment === expected) return [];
  // A constraint that somebody else made, and that Postgres gave the name of ours.
  if (has !== undefined && has.comment?.startsWith(checkComment("")) !== true)
    return expected === undefined ? [] : [takenName(desired, column, has.name)];
  const drop = has === undefined ? [] : [dropCheck(desired, has.name)];
  return [step(`${column.name}: change the check`, [...drop, ...addCheck(desired, column)])];
}

function takenName(desired: DesiredTable, { name }: DesiredColumn, constraint: string): TableStep {
  const other = named(shortened(`${constraint}_other`));
  const sql = `ALTER TABLE ${targetOf(desired)} RENAME CONSTRAINT ${named(constraint)} TO ${other}`;
  return refused(`${name}: another check has the name ${constraint}`, sql);
}

/** Columns that nobody declared are left alone, unless they make every insert fail. */
export const extraColumns = (desired: DesiredTable, found: FoundTable): TableStep[] =>
  found.columns
    .filter(({ name }) => !desired.columns.some((column) => column.name === name))
    .filter(({ nullable, isFilled }) => !nullable && !isFilled)
    .map(({ name }) => {
      const text = `column ${name} is not declared, but is NOT NULL without default`;
      if (found.key.includes(name))
        return refused(`${text} and in the primary key: declare it, or give it a default`);
      const sql = `ALTER TABLE ${targetOf(desired)} ALTER COLUMN ${named(name)} DROP NOT NULL`;
      return refused(text, sql);
    });

const integers = ["smallint", "integer", "bigint"];

/** Whether every value of the one type is exactly a value of the other. */
export function isWider(from: string, to: string): boolean {
  if (integers.includes(from)) return integers.indexOf(to) > integers.indexOf(from);
  if (from === "real") return to === "double precision";
  const [kind, wider] = [from, to].map((type) => type.replace(/\(.*/, ""));
  if (kind === "character varying") return to === "text" || isLonger(from, to);
  return kind === "numeric" && wider === "numeric" && isWiderNumeric(from, to);
}

const lengthsOf = (type: string): number[] => (type.match(/\d+/g) ?? []).map(Number);

function isLonger(from: string, to: string): boolean {
  const [a = Infinity] = lengthsOf(from);
  const [b = 0] = lengthsOf(to);
  return to.startsWith("character varying(") && a <= b;
}

/** No digit is lost on either side of the point. */
function isWiderNumeric(from: string, to: string): boolean {
  if (to === "numeric" || from === "numeric") return to === "numeric";
  const [precision = 0, scale = 0] = lengthsOf(from);
  const [newPrecision = 0, newScale = 0] = lengthsOf(to);
  return newScale >= scale && newPrecision - newScale >= precision - scale;
}
