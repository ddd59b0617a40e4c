// Which reader a file needs, by its name: .csv, .ndjson or .jsonl, each also packed as .gz, .br or .zst.
import { MillraceError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { readCsv } from "./csv.ts";
import { packingOf } from "./file-text.ts";
import { readNdjson } from "./ndjson.ts";
import type { Row } from "./row.ts";

export function readRows(path: string, format: SchemaFormat): AsyncGenerator<Row> {
  const bare = path.slice(0, path.length - (packingOf(path)?.length ?? 0));
  if (bare.endsWith(".csv")) return readCsv(path, format);
  if (bare.endsWith(".ndjson") || bare.endsWith(".jsonl")) return readNdjson(path, format);
  throw new MillraceError(
    "MILL_USAGE",
    `expected a .csv or .ndjson file (also .gz, .br, .zst), received ${path}`,
  );
}
