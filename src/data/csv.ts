// CSV with a header line (RFC 4180) to values of a topic, one row at a time.
import { pipeline as flow } from "node:stream";
import { CsvError, parse } from "csv-parse";
import { ConfigError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { cellReader, type CellReader } from "./convert.ts";
import { fileText } from "./file-text.ts";
import { Mismatch } from "./mismatch.ts";
import { LINE_BYTES_MAX, atLine, lineError, type Row } from "./row.ts";

interface Line {
  readonly line: number;
  readonly cells: readonly string[];
}

export async function* readCsv(path: string, format: SchemaFormat): AsyncGenerator<Row> {
  let toValue: CellReader | null = null;
  for await (const { line, cells } of linesOf(path)) {
    if (toValue === null) {
      toValue = atLine(path, line, () => cellReader(format, cells));
      continue;
    }
    const read = toValue;
    yield { line, value: atLine(path, line, () => read(cells)) };
  }
  // A header without rows is a table without rows; without a header nothing says that it is a table at all.
  if (toValue === null)
    throw new ConfigError("MILL_DATA_INVALID", `${path} is empty: expected a header line`);
}

async function* linesOf(path: string): AsyncGenerator<Line> {
  const parser = parse({
    bom: true,
    skip_empty_lines: true,
    max_record_size: LINE_BYTES_MAX,
    // The library passes on what this returns; its types expect the cells alone.
    on_record: (cells, { lines }) => ({ line: lines, cells }) as never,
  });
  try {
    yield* flow(fileText(path), parser, () => undefined) as AsyncIterable<Line>;
  } catch (error) {
    throw error instanceof CsvError ? csvError(path, error) : error;
  }
}

/** The library's own messages quote the cell: only its code and line are taken. */
function csvError(path: string, error: CsvError): Error {
  const expected = expectations[error.code] ?? `valid CSV (${error.code})`;
  return lineError(path, Number(error["lines"] ?? 0), new Mismatch(expected));
}

const expectations: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: "as many cells as the header has",
  CSV_QUOTE_NOT_CLOSED: "a closing quotation mark",
  CSV_MAX_RECORD_SIZE: `a line of at most ${String(LINE_BYTES_MAX)} characters`,
};
