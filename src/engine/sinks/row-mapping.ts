// A row's object to the values of its columns, and those to texts for Postgres. Fields without a column are left out.
import { kindOf, Mistake } from "../core/errors.ts";
import type { RowRefusal, SinkRow } from "../core/ports.ts";
import { layoutOf, type TableLayout, type TableSpec } from "../core/table-layout.ts";
import { encoderOf, RowFault, type Encode } from "./column-encoding.ts";

/**
 * `SinkRow.values` of a row's object, in the order of the table's columns. Throws ConfigErrors when the declaration cannot
 * be a table; what it returns throws a Mistake for what is no object.
 */
export function rowMapper(table: TableSpec): (row: unknown) => readonly unknown[] {
  const fields = layoutOf(table).columns.map((column) => column.field);
  return (row) => {
    if (typeof row !== "object" || row === null)
      throw new Mistake(`a row is an object, received ${kindOf(row)}`);
    return fields.map((field) => (row as Record<string, unknown>)[field] ?? null);
  };
}

/** A row with the texts of its columns and of its key. */
export interface PreparedRow {
  readonly row: SinkRow;
  readonly texts: readonly (string | null)[];
  /** Equal keys have equal texts. */
  readonly key: string;
}
export interface RefusedRow {
  readonly row: SinkRow;
  readonly refusal: RowRefusal;
}

export interface PreparedRows {
  readonly prepared: readonly PreparedRow[];
  readonly refused: readonly RefusedRow[];
}

export type PrepareRows = (rows: readonly SinkRow[]) => PreparedRows;

/** Encodes rows; one that has no exact text is refused here, before Postgres sees it. */
export function rowPreparation(layout: TableLayout): PrepareRows {
  const encoders = layout.columns.map(encoderOf);
  const keyOf = keyText(layout);
  return (rows) => {
    const prepared: PreparedRow[] = [];
    const refused: RefusedRow[] = [];
    for (const row of rows) {
      const texts = encoded(row, encoders);
      if (texts instanceof RowFault)
        refused.push({ row, refusal: { code: texts.code, message: texts.message } });
      else prepared.push({ row, texts, key: keyOf(texts) });
    }
    return { prepared, refused };
  };
}

function encoded(row: SinkRow, encoders: readonly Encode[]): (string | null)[] | RowFault {
  try {
    return encoders.map((encode, i) => encode(row.values[i]));
  } catch (error) {
    if (error instanceof RowFault) return error;
    throw error;
  }
}

function keyText(layout: TableLayout): (texts: readonly (string | null)[]) => string {
  const [first = 0, ...others] = layout.key;
  if (others.length === 0) return (texts) => texts[first] ?? "";
  return (texts) => JSON.stringify(layout.key.map((i) => texts[i]));
}
