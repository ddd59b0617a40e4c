// CSV with a header line to values of a topic, one row at a time.
import type { SchemaFormat } from "../engine/core/schema.ts";
import { cellReader, type CellReader } from "./convert.ts";
import { csvRows } from "./csv-text.ts";
import { Mismatch } from "./mismatch.ts";
import { badRow, emptyFile, fileError, isBad, rowAt, type BadRow, type Row } from "./row.ts";
import type { TextFile } from "./rows.ts";

interface Header {
  readonly width: number;
  readonly toValue: CellReader;
}

export async function* readCsv(
  { path, text }: TextFile,
  format: SchemaFormat,
): AsyncGenerator<Row | BadRow> {
  let header: Header | null = null;
  for await (const row of csvRows(text)) {
    if (header !== null) {
      yield isBad(row) ? row : rowUnder(header, row.line, row.cells);
      continue;
    }
    const toValue = isBad(row) ? row : rowAt(row.line, () => cellReader(format, row.cells));
    if (isBad(row)) throw fileError(path, row);
    if (isBad(toValue)) throw fileError(path, toValue);
    header = { width: row.cells.length, toValue };
  }
  // A header without rows is a table without rows; without a header nothing says that it is a table at all.
  if (header === null) throw emptyFile(path, "a header line");
}

const rowUnder = (
  { width, toValue }: Header,
  line: number,
  cells: readonly string[],
): Row | BadRow =>
  cells.length === width
    ? rowAt(line, () => ({ line, value: toValue(cells) }))
    : badRow(line, new Mismatch("as many cells as the header has"));
