// Rows of a file with their keys: the named field, or the first one of the topic's schema.
import { MillraceError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { fieldNamed, firstFieldOf } from "./convert.ts";
import { Mismatch } from "./mismatch.ts";
import { atLine } from "./row.ts";
import { readRows } from "./rows.ts";
import type { Sendable } from "./send.ts";

interface KeyedTopic {
  readonly key: SchemaFormat;
  readonly value: SchemaFormat;
}

/** Throws at once, before anything is read, when the schema has no such field. */
export function keyedRows(
  path: string,
  topic: KeyedTopic,
  keyField: string | null,
): AsyncGenerator<Sendable> {
  const field = keyField === null ? firstFieldOf(topic.value) : fieldNamed(topic.value, keyField);
  if (field === null)
    throw new MillraceError(
      "MILL_USAGE",
      `--key: the topic's schema has no field ${String(keyField)}`,
    );
  return rowsBy(field, path, topic);
}

async function* rowsBy(field: string, path: string, topic: KeyedTopic): AsyncGenerator<Sendable> {
  for await (const { line, value } of readRows(path, topic.value)) {
    const key = atLine(path, line, () => keyOf(value[field], topic.key, field));
    yield { key, value };
  }
}

function keyOf(value: unknown, format: SchemaFormat, field: string): unknown {
  if (value === null && format.kind !== "nullable") throw new Mismatch("a key", field);
  // A number is a fine key of a topic whose keys are texts.
  const isText =
    format.kind === "string" && (typeof value === "number" || typeof value === "bigint");
  return isText ? String(value) : value;
}
