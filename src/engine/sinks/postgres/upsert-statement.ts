// The one statement that writes rows: arrays in, the positions of the rows that changed nothing out.
// A row is changed only if (version, source offset) is newer than what is stored, so a replay changes nothing. Offsets of
// two topics say nothing of each other: of one version, a row from another topic than the stored one counts as newer.
// Rows that were collapsed under a newer one are compared with what is stored by a statement of their own.
// A correction writes at the live topic's pinned end, and also replaces what lies exactly there: its own earlier rows.
// Functions and operators are those of pg_catalog, whatever search_path has (unnest of several arrays always is).
import { parameterType } from "../../core/column-type.ts";
import { quoted } from "../../core/identifier.ts";
import type { Correction } from "../../core/plan.ts";
import type { TopicPartition } from "../../core/record.ts";
import { addedColumns, isWholeKey, type TableLayout } from "../../core/table-layout.ts";
import { arrayLiteral } from "../column-encoding.ts";
import { writtenOffset } from "../collapse.ts";
import type { PreparedRow } from "../row-mapping.ts";

/** A row of the answer: one that is given and changed nothing. */
export interface UnchangedRow {
  readonly position: number;
  /** The row that was there before the statement is as new. */
  readonly isStale: boolean;
  /** Rows that the statement has changed, whatever their keys. */
  readonly changed: number;
}

const EQUAL = "OPERATOR(pg_catalog.=)";
const LESS = "OPERATOR(pg_catalog.<)";

/** The statement of a table. Its parameters come from `upsertValues`. */
export function upsertStatement(layout: TableLayout, corrects?: Correction): string {
  const arrays = arrayTypes(layout);
  const inputs = arrays.map((_, i) => `c${String(i)}`);
  const constants = arrays.length;
  const columns = [
    ...arrayColumns(layout),
    addedColumns.topic,
    addedColumns.partition,
    addedColumns.processedAt,
  ];
  const key = layout.key.map((i) => `"${nameAt(layout, i)}"`);
  return `
WITH input AS (
  SELECT * FROM unnest(${arrays.map((type, i) => `$${String(i + 1)}::${type}[]`).join(", ")})
    WITH ORDINALITY AS given(${[...inputs, "n"].join(", ")})
), changed AS (
  INSERT INTO ${layout.target} AS stored (${columns.map(quoted).join(", ")})
  SELECT ${inputs.join(", ")}, $${String(constants + 1)}::text, $${String(constants + 2)}::integer,
    $${String(constants + 3)}::timestamptz
  FROM input ORDER BY n
  ON CONFLICT (${key.join(", ")}) ${onConflict(layout, columns, corrects)}
  RETURNING ${key.map((name) => `stored.${name}`).join(", ")}
)
SELECT (n - 1)::integer AS position, ${isStale(layout, corrects)} AS "isStale",
  (SELECT pg_catalog.count(*) FROM changed)::integer AS changed
FROM input WHERE NOT EXISTS (
  SELECT FROM changed WHERE ${layout.key.map((at) => `changed.${quoted(nameAt(layout, at))} ${EQUAL} ${inputAt(layout, at)}`).join(" AND ")}
)`;
}

/** As the column has it: a time with fewer digits, say. */
function inputAt(layout: TableLayout, at: number): string {
  const sql = layout.columns[at]?.type.sql ?? "";
  return `input.c${String(at)}${/^(time|numeric).*\(/.test(sql) ? `::${sql}` : ""}`;
}

/** Whether a row of the input is no newer than the one before. */
function isStale(layout: TableLayout, corrects?: Correction): string {
  const { key, version: field } = layout;
  const topic = `$${String(arrayTypes(layout).length + 1)}::text`;
  const names = arrayColumns(layout);
  const given = decisive(layout).map((at) => {
    const value = at === field || key.includes(at) ? inputAt(layout, at) : `input.c${String(at)}`;
    return `${value} AS ${quoted(names[at] ?? "")}`;
  });
  const older = isWholeKey(layout) ? "" : ` AND (${isNewer(layout, corrects)}) IS NOT TRUE`;
  const all = [...given, `${topic} AS ${quoted(addedColumns.topic)}`].join(", ");
  return `EXISTS (SELECT FROM (SELECT ${all}) AS excluded, ${layout.target} AS stored
    WHERE ${sameKey(layout)}${older})`;
}

const sameKey = (layout: TableLayout): string =>
  layout.key
    .map((at) => quoted(nameAt(layout, at)))
    .map((name) => `stored.${name} ${EQUAL} excluded.${name}`)
    .join(" AND ");

function onConflict(
  layout: TableLayout,
  columns: readonly string[],
  corrects?: Correction,
): string {
  if (isWholeKey(layout)) return "DO NOTHING";
  const keyNames = new Set(layout.key.map((i) => nameAt(layout, i)));
  const changes = columns
    .filter((name) => !keyNames.has(name))
    .map((name) => `"${name}" = excluded."${name}"`);
  return `DO UPDATE SET ${changes.join(", ")}
  WHERE ${isNewer(layout, corrects)}`;
}

/** Whether the row "excluded" is newer than the row "stored". */
function isNewer(layout: TableLayout, corrects?: Correction): string {
  const [stored, given] = [version(layout, "stored"), version(layout, "excluded")];
  const { topic, offset } = addedColumns;
  const next = corrects === undefined ? LESS : "OPERATOR(pg_catalog.<=)";
  return `${stored} ${LESS} ${given} OR (${stored} ${EQUAL} ${given} AND
    ((stored."${topic}" ${EQUAL} excluded."${topic}") IS NOT TRUE OR stored."${offset}" ${next} excluded."${offset}"))`;
}

/** Places of an array of all columns that decide which of two rows is newer. */
const decisive = (layout: TableLayout): number[] => {
  const { key, version: field, columns } = layout;
  const offset = columns.length;
  return [...new Set([...key, field ?? offset + 1, offset])];
};

/** The statement that finds which rows are no newer than what is stored. Its parameters come from `comparedValues`. */
export function comparingStatement(layout: TableLayout, corrects?: Correction): string {
  const [names, types] = [arrayColumns(layout), arrayTypes(layout)];
  const places = decisive(layout);
  // The version as its column has it, rounded perhaps.
  const typeAt = (place: number): string =>
    (place === layout.version ? layout.columns[place]?.type.sql : types[place]) ?? "";
  const arrays = places.map((place, i) => `$${String(i + 1)}::${typeAt(place)}[]`);
  return `
SELECT ("#" - 1)::integer AS position
FROM (
  SELECT *, $${String(places.length + 1)}::text AS ${quoted(addedColumns.topic)}
  FROM unnest(${arrays.join(", ")}) WITH ORDINALITY
    AS given(${[...places.map((place) => quoted(names[place] ?? "")), '"#"'].join(", ")})
) AS excluded
JOIN ${layout.target} AS stored ON ${sameKey(layout)}
${isWholeKey(layout) ? "" : `WHERE (${isNewer(layout, corrects)}) IS NOT TRUE`}`;
}

/** The parameters of one such statement. */
export function comparedValues(
  layout: TableLayout,
  rows: readonly PreparedRow[],
  at: WrittenAt,
): string[] {
  const all = upsertValues(layout, rows, at);
  return [...decisive(layout).map((place) => all[place] ?? ""), all.at(-3) ?? ""];
}

function version(layout: TableLayout, row: string): string {
  const name = layout.version === null ? addedColumns.timestamp : nameAt(layout, layout.version);
  const isText = layout.version !== null && layout.columns[layout.version]?.type.sql === "text";
  return `${row}."${name}"${isText ? ' COLLATE pg_catalog."C"' : ""}`;
}

const nameAt = (layout: TableLayout, i: number): string => layout.columns[i]?.name ?? "";

/** Columns that differ from row to row, in the order of the array parameters. */
const arrayColumns = (layout: TableLayout): string[] => [
  ...layout.columns.map((column) => column.name),
  addedColumns.offset,
  ...(layout.version === null ? [addedColumns.timestamp] : []),
];

const arrayTypes = (layout: TableLayout): string[] => [
  ...layout.columns.map((column) => parameterType(column.type.sql)),
  "bigint",
  ...(layout.version === null ? ["timestamptz"] : []),
];

export interface WrittenAt {
  readonly task: TopicPartition;
  readonly now: string;
  readonly corrects?: Correction | undefined;
  /** Epoch ms as timestamptz. */
  encodeTime(ms: number): string | null;
}

/** The parameters of one statement. */
export function upsertValues(
  layout: TableLayout,
  rows: readonly PreparedRow[],
  at: WrittenAt,
): string[] {
  const { task, corrects } = at;
  const arrays = layout.columns.map((_, i) => rows.map(({ texts }) => texts[i] ?? null));
  arrays.push(rows.map(({ row }) => String(writtenOffset(row.offset, task, corrects))));
  if (layout.version === null) arrays.push(rows.map(({ row }) => at.encodeTime(row.timestamp)));
  const topic = corrects?.topic ?? task.topic;
  return [...arrays.map(arrayLiteral), topic, String(task.partition), at.now];
}
