// Reads one JSON object a line as values of a topic, one row at a time. Empty lines are skipped.
import type { ConfigError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { jsonReader } from "./convert.ts";
import { fileText } from "./file-text.ts";
import { Mismatch } from "./mismatch.ts";
import { LINE_BYTES_MAX, atLine, lineError, type Row } from "./row.ts";

export async function* readNdjson(path: string, format: SchemaFormat): AsyncGenerator<Row> {
  const toValue = jsonReader(format);
  let line = 0;
  for await (const text of linesOf(path)) {
    line++;
    if (text.trim() === "") continue;
    yield { line, value: atLine(path, line, () => toValue(parsed(text))) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the line, so it is not passed on.
    throw new Mismatch("one JSON object");
  }
}

/** Not node:readline: it gathers a line of any length, and an error of the file does not reach its reader. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = "";
  let line = 0;
  for await (const piece of fileText(path)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      line++;
      yield text;
    }
    if (rest.length > LINE_BYTES_MAX) throw tooLong(path, line + 1);
  }
  if (rest !== "") yield rest;
}

const tooLong = (path: string, line: number): ConfigError =>
  lineError(path, line, new Mismatch(`a line of at most ${String(LINE_BYTES_MAX)} characters`));
