// Rows of a file with their keys: the named field, or the first one of the topic's schema.
import { MillraceError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { fieldNamed, firstFieldOf } from "./convert.ts";
import { Mismatch } from "./mismatch.ts";
import { fileError, isBad, rowAt, type BadRow } from "./row.ts";
import { readRows } from "./rows.ts";
import type { Sendable } from "./send.ts";

interface KeyedTopic {
  readonly key: SchemaFormat;
  readonly value: SchemaFormat;
}

/** The rows from a line on. Throws at once, before anything is read, when the schema has no such field. */
export function keyedRows(
  path: string,
  topic: KeyedTopic,
  keyField: string | null,
  fromLine = 1,
): AsyncGenerator<Sendable | BadRow> {
  const field = keyField === null ? firstFieldOf(topic.value) : fieldNamed(topic.value, keyField);
  if (field === null)
    throw new MillraceError(
      "MILL_USAGE",
      `--key: the topic's schema has no field ${String(keyField)}`,
    );
  return rowsBy(field, path, topic, fromLine);
}

/** The rows of a file that must be right as a whole: the first bad one throws. */
export async function* flawlessRows(
  path: string,
  topic: KeyedTopic,
  keyField: string | null,
): AsyncGenerator<Sendable> {
  for await (const row of keyedRows(path, topic, keyField)) {
    if (isBad(row)) throw fileError(path, row);
    yield row;
  }
}

async function* rowsBy(
  field: string,
  path: string,
  topic: KeyedTopic,
  fromLine: number,
): AsyncGenerator<Sendable | BadRow> {
  for await (const row of readRows(path, topic.value)) {
    const { line } = row;
    if (line < fromLine) continue;
    if (isBad(row)) yield row;
    else
      yield rowAt(line, () => {
        const { value } = row;
        return { key: keyOf(value[field], topic.key, field), value, line };
      });
  }
}

function keyOf(value: unknown, format: SchemaFormat, field: string): unknown {
  if (value === null && format.kind !== "nullable") throw new Mismatch("a key", field);
  // A number is a fine key of a topic whose keys are texts.
  const isText =
    format.kind === "string" && (typeof value === "number" || typeof value === "bigint");
  return isText ? String(value) : value;
}
