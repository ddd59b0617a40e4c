// Which reader a file needs, by its name: .csv, .ndjson or .jsonl, each also packed as .gz, .br or .zst. Standard input
// is NDJSON when its first character is a brace, else CSV.
import { MillraceError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { readCsv } from "./csv.ts";
import { fileText, packingOf } from "./file-text.ts";
import { readNdjson } from "./ndjson.ts";
import { STDIN, type BadRow, type Row } from "./row.ts";

/** The text of a file, and its name for messages. */
export interface TextFile {
  readonly path: string;
  readonly text: AsyncIterable<string>;
}

/** Every row, also those that are no values of the topic; only of a header everything depends, so it throws. */
export function readRows(path: string, format: SchemaFormat): AsyncGenerator<Row | BadRow> {
  if (path === STDIN) return readUnnamed(format);
  const file = { path, text: fileText(path) };
  const bare = path.slice(0, path.length - (packingOf(path)?.length ?? 0));
  if (bare.endsWith(".csv")) return readCsv(file, format);
  if (bare.endsWith(".ndjson") || bare.endsWith(".jsonl")) return readNdjson(file, format);
  throw new MillraceError(
    "MILL_USAGE",
    `expected a .csv or .ndjson file (also .gz, .br, .zst), or - for standard input, received ${path}`,
  );
}

async function* readUnnamed(format: SchemaFormat): AsyncGenerator<Row | BadRow> {
  const pieces = fileText(STDIN);
  let begun = "";
  while (begun.trim() === "") {
    const { value, done } = await pieces.next();
    if (done === true) break;
    begun += value;
  }
  const text = (async function* () {
    yield begun;
    yield* pieces;
  })();
  const read = begun.trimStart().startsWith("{") ? readNdjson : readCsv;
  yield* read({ path: STDIN, text }, format);
}
