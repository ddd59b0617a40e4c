// Rows that are always there: the unknown member, a calendar. They are written by `tables apply`; a row that came from a
// topic since is never overwritten (only rows with source_offset -1 are ours to change).
import type { PostgresSession } from "../../clients/postgres/pool.ts";
import { parameterType } from "../../core/column-type.ts";
import { ConfigError } from "../../core/errors.ts";
import { quoted } from "../../core/identifier.ts";
import { addedColumns, type TableLayout } from "../../core/table-layout.ts";
import { chunks } from "../../sinks/chunks.ts";
import { arrayLiteral } from "../../sinks/column-encoding.ts";
import { rowPreparation, type PreparedRow } from "../../sinks/row-mapping.ts";

const CHUNK = { itemsMax: 5_000, sizeMax: 8_000_000 };

/** Encodes declared rows. Throws ConfigError when one does not fit its own table. */
export function declaredRows(layout: TableLayout, rows: Iterable<unknown>): readonly PreparedRow[] {
  const prepare = rowPreparation(layout);
  const sinkRows = [...rows].map((row, index) => ({
    values: layout.columns.map(({ field }) => (row as Record<string, unknown>)[field] ?? null),
    index,
    offset: -1n,
    timestamp: 0,
  }));
  const { prepared, refused } = prepare(sinkRows);
  const [first] = refused;
  if (first === undefined) return prepared;
  throw new ConfigError(
    "MILL_BUILD_OPTION",
    `table ${layout.label}: declared row ${String(first.row.index + 1)}: ${first.refusal.message}`,
  );
}

/** The number of rows that are missing or differ. */
export async function countMissing(
  session: PostgresSession,
  layout: TableLayout,
  rows: readonly PreparedRow[],
): Promise<number> {
  return sumOfChunks(rows, async (chunk) => {
    const { rows: counted } = await session.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM ${inputOf(layout)}
       LEFT JOIN ${layout.target} AS stored ON ${onKey(layout)}
       WHERE stored.${first(layout)} IS NULL OR (${isOurs("stored")} AND ${differs(layout, "given")})`,
      arraysOf(layout, chunk),
    );
    return counted[0]?.n ?? 0;
  });
}

/** Inserts or corrects the rows; returns how many were changed. `now` is a timestamptz text. */
export async function writeDeclaredRows(
  session: PostgresSession,
  layout: TableLayout,
  rows: readonly PreparedRow[],
  now: string,
): Promise<number> {
  const statement = insertOf(layout);
  return sumOfChunks(rows, async (chunk) => {
    const { count } = await session.query(statement, [...arraysOf(layout, chunk), now]);
    return count;
  });
}

async function sumOfChunks(
  rows: readonly PreparedRow[],
  countOf: (chunk: readonly PreparedRow[]) => Promise<number>,
): Promise<number> {
  const sizeOf = ({ texts }: PreparedRow): number =>
    texts.reduce((n, t) => n + (t?.length ?? 4), 0);
  let sum = 0;
  for (const chunk of chunks(rows, sizeOf, CHUNK)) sum += await countOf(chunk);
  return sum;
}

function insertOf(layout: TableLayout): string {
  const own = layout.columns.map(({ name }) => quoted(name));
  const hasTimestamp = layout.version === null;
  const added = [addedColumns.offset, addedColumns.processedAt].map(quoted);
  if (hasTimestamp) added.push(quoted(addedColumns.timestamp));
  const now = `$${String(own.length + 1)}::timestamptz`;
  const values = [`-1, ${now}`, ...(hasTimestamp ? ["'-infinity'::timestamptz"] : [])];
  const others = rest(layout);
  const update =
    others.length === 0
      ? "DO NOTHING"
      : `DO UPDATE SET ${[...others, added[1]].map((c) => `${String(c)} = excluded.${String(c)}`).join(", ")}
         WHERE ${isOurs("stored")} AND ${differs(layout, "excluded")}`;
  return `INSERT INTO ${layout.target} AS stored (${[...own, ...added].join(", ")})
    SELECT given.*, ${values.join(", ")} FROM ${inputOf(layout)}
    ON CONFLICT (${keyOf(layout).join(", ")}) ${update}`;
}

const inputOf = (layout: TableLayout): string => {
  const arrays = layout.columns.map(
    ({ type }, i) => `$${String(i + 1)}::${parameterType(type.sql)}[]`,
  );
  const names = layout.columns.map(({ name }) => quoted(name));
  // The unnest of several arrays is always Postgres' own; for one, search_path may have another.
  const unnest = arrays.length === 1 ? "pg_catalog.unnest" : "unnest";
  return `${unnest}(${arrays.join(", ")}) AS given(${names.join(", ")})`;
};

const arraysOf = (layout: TableLayout, rows: readonly PreparedRow[]): string[] =>
  layout.columns.map((_, i) => arrayLiteral(rows.map(({ texts }) => texts[i] ?? null)));

const keyOf = (layout: TableLayout): string[] =>
  layout.key.map((i) => quoted(layout.columns[i]?.name ?? ""));
const first = (layout: TableLayout): string => keyOf(layout)[0] ?? "";
const rest = (layout: TableLayout): string[] =>
  layout.columns.filter((_, i) => !layout.key.includes(i)).map(({ name }) => quoted(name));

const onKey = (layout: TableLayout): string =>
  keyOf(layout)
    .map((name) => `stored.${name} = given.${name}`)
    .join(" AND ");
const isOurs = (row: string): string => `${row}.${quoted(addedColumns.offset)} = -1`;

/** Input and column may differ in length or scale: `excluded` has the column's own, and `given` is close enough to plan. */
const differs = (layout: TableLayout, row: "given" | "excluded"): string => {
  const names = rest(layout);
  if (names.length === 0) return "false";
  const of = (source: string): string => names.map((name) => `${source}.${name}`).join(", ");
  return `(${of("stored")}) IS DISTINCT FROM (${of(row)})`;
};
