// A live table against its shadow, row by row, in one snapshot: both are as they were at one moment, however long it takes.
// Rows that differ come through a cursor, so memory is bounded whatever their number. Personal data leaves this file only
// where it was asked for.
import { createHash } from "node:crypto";
import type { PostgresPool, PostgresSession } from "../../clients/postgres/pool.ts";
import { ConfigError } from "../../core/errors.ts";
import {
  layoutOf,
  type Column,
  type TableLayout,
  type TableSpec,
} from "../../core/table-layout.ts";
import { findTable } from "../../provision/tables/found.ts";
import {
  checksumStatement,
  CURSOR,
  differencesStatement,
  rowStatement,
  SESSION,
  type Compared,
  type Pin,
} from "./comparison-statements.ts";

export interface ComparisonRequest {
  readonly table: TableSpec;
  /** The shadow's name, in the schema of the table. */
  readonly shadow: string;
  readonly pins: readonly Pin[];
  /** Rows whose time lies before are not compared; null: all are. */
  readonly sinceMs: number | null;
  /** Rows of then and later may be made of older records, too. */
  readonly isOpen: boolean;
  readonly samplesMax: number;
  readonly showPersonal: boolean;
}

export interface RowDifference {
  /** missing: in live only · extra: in the shadow only. */
  readonly kind: "missing" | "extra" | "different";
  readonly key: readonly string[];
  /** Columns that differ. */
  readonly columns: readonly string[];
}

interface RowSample extends RowDifference {
  /** By column, as texts. */
  readonly values: Readonly<Record<string, { live: string | null; shadow: string | null }>>;
}

interface ComparedSide {
  readonly rows: number;
  /** 16 hex digits over all rows, in whatever order they lie. */
  readonly checksum: string;
}

export interface TableComparison {
  readonly table: string;
  readonly shadowTable: string;
  readonly live: ComparedSide;
  readonly shadow: ComparedSide;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Rows that live has changed after the pin: no difference. */
  readonly newer: number;
  /** Rows that differ and may be made of records from before the run's range: no difference. */
  readonly below: number;
  /** The time from which on rows are compared; null: all are. */
  readonly sinceMs: number | null;
  /** Rows have their event time; in a table with a version of its own they have not, and all are compared. */
  readonly hasTimes: boolean;
  /** Rows of then and later may be made of records from before the range as well. */
  readonly isOpen: boolean;
  /** The number of rows that differ, by column. */
  readonly columns: Readonly<Record<string, number>>;
  /** Declared columns that cannot be compared: one side lacks them or has another type. */
  readonly unlike: readonly string[];
  readonly samples: readonly RowSample[];
}

export const isEqual = (found: TableComparison): boolean =>
  found.missing + found.extra + found.different + found.unlike.length === 0;

export interface ComparisonListener {
  /** The moment is taken: what is written from now on is not seen. */
  onMoment?(): Promise<void>;
  /** Called for every row that differs. */
  onDifference(table: string, difference: RowDifference): void;
}

/** All tables at one moment. */
export async function compareTables(
  pool: PostgresPool,
  requests: readonly ComparisonRequest[],
  listener: ComparisonListener,
): Promise<readonly TableComparison[]> {
  return pool.transaction(async (session) => {
    for (const statement of SESSION) await session.query(statement);
    // The first query is what takes the snapshot.
    await session.query("SELECT 1");
    await listener.onMoment?.();
    return Array.fromAsync(requests, (request) => compareOne(session, request, listener));
  });
}

async function compareOne(
  session: PostgresSession,
  request: ComparisonRequest,
  listener: ComparisonListener,
): Promise<TableComparison> {
  const layout = layoutOf(request.table);
  const { columns, unlike } = await commonColumns(session, layout, request.shadow);
  const { shadow: name, pins, sinceMs } = request;
  const compared: Compared = { layout, shadow: name, columns, pins, sinceMs };
  const live = await sideOf(session, compared, "live");
  const shadow = await sideOf(session, compared, "shadow");
  const mask = maskOf(request, layout);
  const counted = newCounts();
  for await (const { newer, below, ...difference } of differences(session, compared)) {
    if (newer || below) {
      counted[newer ? "newer" : "below"]++;
      continue;
    }
    count(counted, difference, request.samplesMax);
    listener.onDifference(layout.label, { ...difference, key: mask.key(difference.key) });
  }
  const samples = await Array.fromAsync(counted.samples, (difference) =>
    sampleOf(session, difference, compared, mask),
  );
  const shadowTable = `${layout.schema}.${request.shadow}`;
  const from = { sinceMs, hasTimes: layout.version === null, isOpen: request.isOpen };
  return { table: layout.label, shadowTable, live, shadow, ...counted, ...from, unlike, samples };
}

async function commonColumns(
  session: PostgresSession,
  layout: TableLayout,
  shadow: string,
): Promise<{ columns: readonly Column[]; unlike: readonly string[] }> {
  const sides = [];
  for (const name of [layout.name, shadow]) {
    const found = await findTable(session, layout.schema, name);
    if (found === null) throw new ConfigError("MILL_TABLE_MISSING", `${layout.schema}.${name}`);
    sides.push(new Map(found.columns.map((column) => [column.name, column.type])));
  }
  const [inLive, inShadow] = sides;
  const isCommon = ({ name }: Column): boolean =>
    inLive?.has(name) === true && inLive.get(name) === inShadow?.get(name);
  const unlike = layout.columns.filter((column) => !isCommon(column)).map(({ name }) => name);
  const keys = layout.key.map((i) => layout.columns[i]?.name ?? "");
  if (unlike.some((name) => keys.includes(name)))
    throw new ConfigError("MILL_TABLE_DIFFERS", `${layout.schema}.${shadow}: its key is another`);
  return { columns: layout.columns.filter(isCommon), unlike };
}

async function sideOf(
  session: PostgresSession,
  compared: Compared,
  side: "live" | "shadow",
): Promise<ComparedSide> {
  const statement = checksumStatement(compared, side);
  const { rows } = await session.query<{ rows: string; hash: string }>(statement);
  const sum = BigInt.asUintN(64, BigInt(rows[0]?.hash ?? 0));
  return { rows: Number(rows[0]?.rows ?? 0), checksum: sum.toString(16).padStart(16, "0") };
}

/** As the statement finds it. */
type FoundDifference = RowDifference & { readonly newer: boolean; readonly below: boolean };

const ROWS_A_FETCH = 2_000;

async function* differences(
  session: PostgresSession,
  compared: Compared,
): AsyncGenerator<FoundDifference> {
  await session.query(differencesStatement(compared));
  for (;;) {
    const fetch = `FETCH ${String(ROWS_A_FETCH)} FROM ${CURSOR}`;
    const { rows } = await session.query<FoundDifference>(fetch);
    yield* rows;
    if (rows.length < ROWS_A_FETCH) break;
  }
  await session.query(`CLOSE ${CURSOR}`);
}

const newCounts = () => ({
  ...{ missing: 0, extra: 0, different: 0, newer: 0, below: 0 },
  columns: {} as Record<string, number>,
  samples: [] as RowDifference[],
});

function count(
  into: ReturnType<typeof newCounts>,
  difference: RowDifference,
  samplesMax: number,
): void {
  into[difference.kind]++;
  for (const name of difference.columns) into.columns[name] = (into.columns[name] ?? 0) + 1;
  if (into.samples.length < samplesMax) into.samples.push(difference);
}

interface Mask {
  key(key: readonly string[]): readonly string[];
  value(column: string, text: string | null): string | null;
}

/** A personal key becomes its hash, so that equal keys can still be recognized; a personal value is hidden. */
function maskOf({ table, showPersonal }: ComparisonRequest, layout: TableLayout): Mask {
  const fields = new Set(table.personalData.map((path) => path.split(".")[0]));
  const personal = new Set(
    layout.columns.filter(({ field }) => !showPersonal && fields.has(field)).map((c) => c.name),
  );
  const names = layout.key.map((i) => layout.columns[i]?.name ?? "");
  return {
    key: (key) => key.map((text, i) => (personal.has(names[i] ?? "") ? hashed(text) : text)),
    value: (column, text) => (text === null || !personal.has(column) ? text : "***"),
  };
}

const hashed = (text: string): string =>
  `sha256:${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;

async function sampleOf(
  session: PostgresSession,
  { kind, key, columns }: RowDifference,
  compared: Compared,
  mask: Mask,
): Promise<RowSample> {
  const texts = async (side: "live" | "shadow"): Promise<readonly (string | null)[]> => {
    const statement = rowStatement(compared, side, columns);
    const { rows } = await session.query<{ texts: (string | null)[] }>(statement, key);
    return rows[0]?.texts ?? [];
  };
  const masked = { kind, key: mask.key(key), columns };
  if (columns.length === 0) return { ...masked, values: {} };
  const [live, shadow] = [await texts("live"), await texts("shadow")];
  const valueAt = (column: string, text: string | null | undefined): string | null =>
    mask.value(column, text ?? null);
  const values = columns.map((column, i) => [
    column,
    { live: valueAt(column, live[i]), shadow: valueAt(column, shadow[i]) },
  ]);
  return { ...masked, values: Object.fromEntries(values) as RowSample["values"] };
}
