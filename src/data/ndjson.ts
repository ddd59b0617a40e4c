// Reads one JSON object a line as values of a topic, one row at a time. Empty lines are skipped.
import type { SchemaFormat } from "../engine/core/schema.ts";
import { jsonReader } from "./convert.ts";
import { Mismatch } from "./mismatch.ts";
import { LINE_BYTES_MAX, badRow, emptyFile, rowAt, type BadRow, type Row } from "./row.ts";
import type { TextFile } from "./rows.ts";

export async function* readNdjson(
  { path, text: pieces }: TextFile,
  format: SchemaFormat,
): AsyncGenerator<Row | BadRow> {
  const toValue = jsonReader(format);
  let line = 0;
  let isEmpty = true;
  for await (const text of linesOf(pieces)) {
    line++;
    if (text !== null && text.trim() === "") continue;
    isEmpty = false;
    if (text === null) yield badRow(line, tooLong, true);
    else yield rowAt(line, () => ({ line, value: toValue(parsed(text)) }));
  }
  if (isEmpty) throw emptyFile(path, "a JSON object on each line");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the line, so it is not passed on.
    throw new Mismatch("one JSON object");
  }
}

const tooLong = new Mismatch(`a line of at most ${String(LINE_BYTES_MAX)} characters`);

/**
 * Null for a line that is too long, which is the last. Not node:readline: it gathers a line of any length, and an error of
 * the file does not reach its reader.
 */
async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string | null> {
  let rest = "";
  for await (const piece of pieces) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length <= LINE_BYTES_MAX) continue;
    yield null;
    return;
  }
  if (rest !== "") yield rest;
}
