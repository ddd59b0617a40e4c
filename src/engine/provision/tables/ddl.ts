// The statements that make a table and its parts. Pure text; names are quoted, texts are literals, and types, defaults
// and checks come from the declaration, which is code.
import { createHash } from "node:crypto";
import { literal, quoted } from "../../core/identifier.ts";
import type { DesiredColumn, DesiredTable } from "./desired.ts";

/** Any name, as the catalogue has it; names of declarations are `quoted`. */
export const named = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const targetOf = (table: DesiredTable): string =>
  `${quoted(table.schema)}.${quoted(table.name)}`;

export const createSchema = (schema: string): string =>
  `CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`;

/** Everything of a table that does not exist yet. */
export function createTable(table: DesiredTable): string[] {
  const lines = [
    ...table.columns.map(columnLine),
    ...table.columns.flatMap((column) => checkClause(table, column)),
    `PRIMARY KEY (${table.key.map(quoted).join(", ")})`,
  ];
  return [
    `CREATE TABLE ${targetOf(table)} (\n  ${lines.join(",\n  ")}\n)`,
    ...table.columns.flatMap((column) => commentOnCheck(table, column)),
    ...table.indexes.map((columns) => createIndex(table, columns)),
    ...(table.comment === null ? [] : [commentOnTable(table)]),
    ...table.columns.filter((c) => c.comment !== null).map((c) => commentOnColumn(table, c)),
  ];
}

function columnLine(column: DesiredColumn): string {
  const parts = [quoted(column.name), column.type];
  if (column.isIdentity) parts.push("GENERATED ALWAYS AS IDENTITY");
  if (column.default !== null) parts.push(`DEFAULT ${column.default}`);
  if (!column.nullable) parts.push("NOT NULL");
  return parts.join(" ");
}

const checkClause = (table: DesiredTable, { name, check }: DesiredColumn): string[] =>
  check === null ? [] : [`CONSTRAINT ${quoted(checkName(table, name))} CHECK (${check})`];

export const addColumn = (table: DesiredTable, column: DesiredColumn): string[] => [
  `ALTER TABLE ${targetOf(table)} ADD COLUMN ${columnLine(column)}`,
  ...addCheck(table, column),
  ...(column.comment === null ? [] : [commentOnColumn(table, column)]),
];

export const changeType = (table: DesiredTable, { name, type }: DesiredColumn): string =>
  `ALTER TABLE ${targetOf(table)} ALTER COLUMN ${quoted(name)} TYPE ${type}`;

export const changeNull = (table: DesiredTable, { name, nullable }: DesiredColumn): string =>
  `ALTER TABLE ${targetOf(table)} ALTER COLUMN ${quoted(name)} ${nullable ? "DROP" : "SET"} NOT NULL`;

export const indexName = (table: DesiredTable, columns: readonly string[]): string =>
  shortened([table.name, ...columns, "idx"].join("_"));

export const createIndex = (table: DesiredTable, columns: readonly string[]): string => {
  const name = indexName(table, columns);
  return `CREATE INDEX ${quoted(name)} ON ${targetOf(table)} (${columns.map(quoted).join(", ")})`;
};

export const addCheck = (table: DesiredTable, column: DesiredColumn): string[] =>
  checkClause(table, column).flatMap((clause) => [
    `ALTER TABLE ${targetOf(table)} ADD ${clause}`,
    ...commentOnCheck(table, column),
  ]);

export const dropCheck = (table: DesiredTable, constraint: string): string =>
  `ALTER TABLE ${targetOf(table)} DROP CONSTRAINT ${named(constraint)}`;

export const checkName = (table: DesiredTable, column: string): string =>
  shortened(`${table.name}_${column}_check`);

/** Postgres spells a check in its own way: what was declared is kept in the constraint's comment, to compare. */
const CHECK_COMMENT = "declared: ";
export const checkComment = (check: string): string => `${CHECK_COMMENT}${check}`;

const commentOnCheck = (table: DesiredTable, { name, check }: DesiredColumn): string[] =>
  check === null
    ? []
    : [
        `COMMENT ON CONSTRAINT ${quoted(checkName(table, name))} ON ${targetOf(table)} IS ${literal(checkComment(check))}`,
      ];

export const commentOnTable = (table: DesiredTable): string =>
  `COMMENT ON TABLE ${targetOf(table)} IS ${literalOrNull(table.comment)}`;

export const commentOnColumn = (table: DesiredTable, column: DesiredColumn): string =>
  `COMMENT ON COLUMN ${targetOf(table)}.${quoted(column.name)} IS ${literalOrNull(column.comment)}`;

const literalOrNull = (text: string | null): string => (text === null ? "NULL" : literal(text));

const NAME_MAX = 60;

/** A long name keeps its beginning and gets a digest, so two long names stay two. */
export function shortened(name: string): string {
  if (name.length <= NAME_MAX) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${name.slice(0, NAME_MAX - 9)}_${digest}`;
}
