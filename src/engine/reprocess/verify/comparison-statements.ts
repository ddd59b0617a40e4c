// The statements that compare a live table with its shadow. Rows meet by primary key; a row differs when one of its declared
// columns does, byte by byte (*<>), so that what is equal here prints the same everywhere. The columns of origin and
// time of writing are left out.
import { parameterType } from "../../core/column-type.ts";
import { literal, quoted } from "../../core/identifier.ts";
import { addedColumns, type Column, type TableLayout } from "../../core/table-layout.ts";

/** The end of a run's range in the topic that feeds a table: the run has not read what live wrote from there on. */
export interface Pin {
  readonly topic: string;
  /** By partition. */
  readonly offsets: readonly bigint[];
}

export interface Compared {
  readonly layout: TableLayout;
  /** The shadow's name, in the schema of the live table. */
  readonly shadow: string;
  /** The columns of `layout` that both tables have. */
  readonly columns: readonly Column[];
  /** The pins of every topic that feeds the table; none: live is stopped, so nothing in it can be newer. */
  readonly pins: readonly Pin[];
  /** Rows of before are not compared: they may be made of records that the run has not read. Null: all are. */
  readonly sinceMs: number | null;
}

/** Texts must not depend on who asks. */
export const SESSION: readonly string[] = [
  "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
  "SET LOCAL TimeZone = 'UTC'",
  "SET LOCAL DateStyle = 'ISO, YMD'",
  "SET LOCAL extra_float_digits = 1",
  "SET LOCAL bytea_output = 'hex'",
];

export const CURSOR = "differences";

const sideOf = ({ layout, shadow }: Compared, side: "live" | "shadow"): string =>
  side === "live" ? layout.target : `${quoted(layout.schema)}.${quoted(shadow)}`;

const namesOf = (columns: readonly Column[]): string[] => columns.map(({ name }) => quoted(name));
const keyColumns = (layout: TableLayout): Column[] =>
  layout.key.flatMap((i) => layout.columns[i] ?? []);

/** Rows and the sum of their hashes: equal in whatever order the rows are read. */
export function checksumStatement(compared: Compared, side: "live" | "shadow"): string {
  const row = `ROW(${namesOf(compared.columns).join(", ")})::text`;
  return `SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(${row}, 0)::numeric), 0)::text AS hash
FROM ${sideOf(compared, side)}`;
}

/** A cursor over the rows that differ: what differs, where, and whether live has gone on since. */
export function differencesStatement(compared: Compared): string {
  const { columns, layout } = compared;
  const keys = namesOf(keyColumns(layout));
  const others = namesOf(columns).filter((name) => !keys.includes(name));
  const [first = ""] = keys;
  const isMissing = `shadow.${first} IS NULL`;
  const isExtra = `live.${first} IS NULL`;
  const sides = (side: string): string => others.map((name) => `${side}.${name}`).join(", ");
  const differs = others.length === 0 ? "false" : unlike(sides("live"), sides("shadow"));
  const named = others.map(
    (name) =>
      `CASE WHEN ${unlike(`live.${name}`, `shadow.${name}`)} THEN ${literal(name.slice(1, -1))} END`,
  );
  return `DECLARE ${CURSOR} NO SCROLL CURSOR FOR
SELECT CASE WHEN ${isMissing} THEN 'missing' WHEN ${isExtra} THEN 'extra' ELSE 'different' END AS kind,
  ARRAY[${keys.map((name) => `coalesce(live.${name}, shadow.${name})::text`).join(", ")}] AS key,
  CASE WHEN ${isMissing} OR ${isExtra} THEN '{}'::text[]
    ELSE array_remove(ARRAY[${named.join(", ")}]::text[], NULL) END AS columns,
  ${newerIn(compared.pins)} AS newer, ${belowIn(compared)} AS below
FROM ${sideOf(compared, "live")} AS live FULL JOIN ${sideOf(compared, "shadow")} AS shadow
  ON ${keys.map((name) => `live.${name} = shadow.${name}`).join(" AND ")}
WHERE ${isMissing} OR ${isExtra} OR ${differs}`;
}

/** Without the casts Postgres would look for the operator of each column. */
const unlike = (a: string, b: string): string => `ROW(${a})::record *<> ROW(${b})::record`;

function newerIn(pins: readonly Pin[]): string {
  const [topic, partition, offset] = [
    addedColumns.topic,
    addedColumns.partition,
    addedColumns.offset,
  ].map((name) => `live.${quoted(name)}`);
  const tests = pins.map((pin) => {
    const ends = `'{${pin.offsets.join(",")}}'::bigint[]`;
    return `(${String(topic)} = ${literal(pin.topic)} AND ${String(offset)} >= (${ends})[${String(partition)} + 1])`;
  });
  return tests.length === 0 ? "false" : `coalesce(${tests.join(" OR ")}, false)`;
}

/** The time of a row is that of its record, where the table has no version of its own. */
function belowIn({ layout, sinceMs }: Compared): string {
  if (sinceMs === null || layout.version !== null) return "false";
  const [live, shadow] = ["live", "shadow"].map(
    (side) => `${side}.${quoted(addedColumns.timestamp)}`,
  );
  return `coalesce(least(${String(live)}, ${String(shadow)}) < to_timestamp(${String(sinceMs)}::float8 / 1000), false)`;
}

/** Selects one row by its key, given as texts: the named columns as texts. */
export function rowStatement(
  compared: Compared,
  side: "live" | "shadow",
  columns: readonly string[],
): string {
  const tests = keyColumns(compared.layout).map(
    ({ name, type }, i) => `${quoted(name)} = $${String(i + 1)}::text::${parameterType(type.sql)}`,
  );
  const texts = columns.map((name) => `${quoted(name)}::text`);
  return `SELECT ARRAY[${texts.join(", ")}]::text[] AS texts FROM ${sideOf(compared, side)} WHERE ${tests.join(" AND ")}`;
}
