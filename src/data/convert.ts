// Rows of a file to values of a topic: columns and fields find theirs by name (household_id or householdId),
// types come from the topic's Avro schema. Compiled once for a file; throws Mismatch with the field's name.
import { parseAvro } from "../engine/core/avro-parser.ts";
import type { AvroShape, RecordShape } from "../engine/core/avro-shape.ts";
import { ConfigError } from "../engine/core/errors.ts";
import type { SchemaFormat } from "../engine/core/schema.ts";
import { Mismatch } from "./mismatch.ts";
import { scalarReader, type Form, type Reader } from "./scalars.ts";

/** A value of the topic, its fields by the schema's names. */
export type Fields = Readonly<Record<string, unknown>>;

/** From the cells of one line to a value; made for one header. */
export type CellReader = (cells: readonly string[]) => Fields;

const recordShapeOf = (format: SchemaFormat): RecordShape => {
  const shape = format.kind === "avro" ? parseAvro(format.schema) : null;
  if (shape?.kind === "record") return shape;
  throw new ConfigError(
    "MILL_DATA_INVALID",
    "only topics of Avro records can be filled from a file",
  );
};

/** The natural key of a topic's records: the first field of their schema. */
export const firstFieldOf = (format: SchemaFormat): string =>
  recordShapeOf(format).fields[0]?.name ?? "";

/** The schema's field of this name, also when it is written in snake_case; null when there is none. */
export function fieldNamed(format: SchemaFormat, name: string): string | null {
  const { fields } = recordShapeOf(format);
  return fields.find((field) => field.name === name || snakeOf(field.name) === name)?.name ?? null;
}

/** householdId → household_id. */
export const snakeOf = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Checks the header at once: an unknown, doubled or missing column is a Mismatch that names it. */
export function cellReader(format: SchemaFormat, header: readonly string[]): CellReader {
  const { fields } = recordShapeOf(format);
  const columns = header.map((column) => {
    const name = fieldNamed(format, column);
    const field = fields.find((f) => f.name === name);
    if (field === undefined) throw new Mismatch("a field of the topic's schema", column);
    return {
      column,
      name: field.name,
      read: inField(column, () => readerOf(field.shape, "text")),
    };
  });
  for (const { name, shape } of fields) {
    const times = columns.filter((column) => column.name === name).length;
    if (times > 1) throw new Mismatch("a column only once", snakeOf(name));
    if (times === 0 && !isNullable(shape)) throw new Mismatch("a column for it", snakeOf(name));
  }
  const absent = fields.filter((field) => !columns.some((column) => column.name === field.name));
  return (cells) => {
    const value: Record<string, unknown> = {};
    let wrong: Mismatch | null = null;
    for (const [i, { column, name, read }] of columns.entries())
      try {
        value[name] = read(cells[i] ?? "");
      } catch (error) {
        wrong = joined(wrong, error, column);
      }
    if (wrong !== null) throw wrong;
    for (const { name } of absent) value[name] = null;
    return value;
  };
}

/** From one parsed JSON value to a value of the topic. Fields that the schema does not have are a Mismatch. */
export function jsonReader(format: SchemaFormat): (value: unknown) => Fields {
  const read = readerOf(recordShapeOf(format), "json");
  return (value) => read(value) as Fields;
}

const isNullable = (shape: AvroShape): boolean =>
  shape.kind === "null" ||
  (shape.kind === "union" && shape.branches.some((branch) => branch.kind === "null"));

/** The mismatches so far, with that of this field under its name. */
function joined(wrong: Mismatch | null, error: unknown, field: string): Mismatch {
  if (!(error instanceof Mismatch)) throw error;
  const named = error.within(field);
  return wrong === null ? named : wrong.and(named);
}

/** Runs `read`; a Mismatch gets the field's name. */
function inField<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof Mismatch ? error.within(field) : error;
  }
}

function readerOf(shape: AvroShape, form: Form): Reader {
  if (shape.kind === "union") return nullableReader(shape.branches, form);
  if (shape.kind === "enum") return symbolReader(shape.symbols);
  if (shape.kind !== "record" && shape.kind !== "array" && shape.kind !== "map")
    return scalarReader(shape.kind, shape.logical, form) ?? refuse;
  if (form === "text") throw new Mismatch("a simple type: nested values need NDJSON");
  return nestedReader(shape);
}

const refuse: Reader = () => {
  throw new Mismatch("a type that files can hold");
};

const symbolReader =
  (symbols: readonly string[]): Reader =>
  (input) => {
    if (typeof input === "string" && symbols.includes(input)) return input;
    throw new Mismatch(`one of ${symbols.join(", ")}`);
  };

/** ["null", T]: an empty cell is null. In other unions a file does not say which branch it means. */
function nullableReader(branches: readonly AvroShape[], form: Form): Reader {
  const [branch, ...others] = branches.filter(({ kind }) => kind !== "null");
  if (branch === undefined || others.length > 0) return refuse;
  const read = readerOf(branch, form);
  if (others.length + 1 === branches.length) return read;
  const isNull = (input: unknown): boolean => input === null || (form === "text" && input === "");
  return (input) => (isNull(input) ? null : read(input));
}

type NestedShape = Extract<AvroShape, { kind: "record" | "array" | "map" }>;

function nestedReader(shape: NestedShape): Reader {
  if (shape.kind === "record") return recordReader(shape);
  const read = readerOf(shape.kind === "array" ? shape.items : shape.values, "json");
  if (shape.kind === "array")
    return (input) => {
      if (!Array.isArray(input)) throw new Mismatch("a list");
      return input.map((item, i) => inField(String(i), () => read(item)));
    };
  return (input) =>
    Object.fromEntries(
      Object.entries(objectOf(input)).map(([k, v]) => [k, inField(k, () => read(v))]),
    );
}

/** A record may contain itself, so its readers are made when they are first needed. */
function later(make: () => Reader): Reader {
  let made: Reader | null = null;
  return (input) => (made ??= make())(input);
}

function recordReader(shape: RecordShape): Reader {
  const fields = shape.fields.map((field) => ({
    name: field.name,
    snake: snakeOf(field.name),
    read: later(() => readerOf(field.shape, "json")),
    isNullable: isNullable(field.shape),
  }));
  const known = new Set(fields.flatMap(({ name, snake }) => [name, snake]));
  return (input) => {
    const given = objectOf(input);
    const stranger = Object.keys(given).find((name) => !known.has(name));
    if (stranger !== undefined) throw new Mismatch("a field of the topic's schema", stranger);
    const value: Record<string, unknown> = {};
    let wrong: Mismatch | null = null;
    for (const { name, snake, read, isNullable } of fields)
      try {
        const found = given[name] ?? given[snake] ?? null;
        if (found === null && !isNullable) throw new Mismatch("a value");
        value[name] = found === null ? null : read(found);
      } catch (error) {
        wrong = joined(wrong, error, name);
      }
    if (wrong !== null) throw wrong;
    return value;
  };
}

function objectOf(input: unknown): Readonly<Record<string, unknown>> {
  if (typeof input !== "object" || input === null || Array.isArray(input))
    throw new Mismatch("an object");
  return input as Readonly<Record<string, unknown>>;
}
