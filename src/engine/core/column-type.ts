// Which Postgres type an Avro type becomes, and how its values are written. `sql` is spelt as Postgres'
// format_type() prints it, so a declared type and a found one compare as texts.
import type { AvroSchema } from "./schema.ts";

export type Encoding =
  | "text"
  | "uuid"
  | "boolean"
  | "number"
  | "decimal"
  | "epoch-millis"
  | "epoch-micros"
  | "day-millis"
  | "day-micros"
  | "bytes"
  | "json";

export interface ColumnType {
  readonly sql: string;
  readonly encoding: Encoding;
  /** Decimal places, for "decimal". */
  readonly scale: number;
  /** The symbols of an enum: the column gets a check. */
  readonly symbols: readonly string[] | null;
}

interface FieldType {
  readonly type: ColumnType;
  readonly nullable: boolean;
}

type AvroObject = Readonly<Record<string, unknown>>;
/** Named types by full name and by short name: a later field may name an earlier definition. */
export type NamedTypes = Map<string, AvroSchema>;

const type = (sql: string, encoding: Encoding, more: Partial<ColumnType> = {}): ColumnType => ({
  sql,
  encoding,
  scale: 0,
  symbols: null,
  ...more,
});

const TIMESTAMPTZ = "timestamp with time zone";
const TIMESTAMP = "timestamp without time zone";
const TIME = "time without time zone";
const JSONB: ColumnType = type("jsonb", "json");

const primitives: Readonly<Record<string, ColumnType>> = {
  string: type("text", "text"),
  boolean: type("boolean", "boolean"),
  int: type("integer", "number"),
  long: type("bigint", "number"),
  float: type("real", "number"),
  double: type("double precision", "number"),
  bytes: type("bytea", "bytes"),
  fixed: type("bytea", "bytes"),
};

const logicals: Readonly<Record<string, ColumnType>> = {
  uuid: type("uuid", "uuid"),
  date: type("date", "text"),
  bigint: type("bigint", "number"),
  "time-millis": type(TIME, "day-millis"),
  "time-micros": type(TIME, "day-micros"),
  "timestamp-millis": type(TIMESTAMPTZ, "epoch-millis"),
  "timestamp-micros": type(TIMESTAMPTZ, "epoch-micros"),
  // Postgres keeps microseconds: nanoseconds stay whole as a number.
  "timestamp-nanos": type("bigint", "number"),
  "local-timestamp-millis": type(TIMESTAMP, "text"),
  "local-timestamp-micros": type(TIMESTAMP, "text"),
  "local-timestamp-nanos": type("text", "text"),
};

/** The column type of an Avro field; null when Avro's type is none that is known. */
export function fieldTypeOf(schema: AvroSchema, named: NamedTypes): FieldType | null {
  if (!Array.isArray(schema)) return single(schema as string | AvroObject, named);
  const branches = (schema as readonly AvroSchema[]).filter((branch) => branch !== "null");
  const nullable = branches.length < schema.length;
  const [first, ...others] = branches;
  if (first === undefined) return null;
  if (others.length > 0) return { type: JSONB, nullable };
  const found = single(first as string | AvroObject, named);
  return found === null ? null : { type: found.type, nullable };
}

function single(schema: string | AvroObject, named: NamedTypes): FieldType | null {
  const found = typeof schema === "string" ? byName(schema, named) : byObject(schema, named);
  return found === null ? null : { type: found, nullable: false };
}

function byName(name: string, named: NamedTypes): ColumnType | null {
  const definition = named.get(name);
  if (definition === undefined) return primitives[name] ?? null;
  return byObject(definition as AvroObject, new Map());
}

function byObject(schema: AvroObject, named: NamedTypes): ColumnType | null {
  const avro = schema["type"];
  if (typeof schema["name"] === "string") remember(schema, named);
  if (typeof avro !== "string") return fieldTypeOf(avro as AvroSchema, named)?.type ?? null;
  if (avro === "enum")
    return type("text", "text", { symbols: schema["symbols"] as readonly string[] });
  if (avro === "record" || avro === "array" || avro === "map") return JSONB;
  return byLogicalType(schema) ?? byName(avro, named);
}

/** An unknown logical type is ignored, as Avro says. */
function byLogicalType(schema: AvroObject): ColumnType | null {
  const name = schema["logicalType"];
  if (typeof name !== "string") return null;
  return name === "decimal" ? decimal(schema) : (logicals[name] ?? null);
}

function decimal(schema: AvroObject): ColumnType {
  const scale = Number(schema["scale"] ?? 0);
  const sql = `numeric(${String(schema["precision"])},${String(scale)})`;
  return type(sql, "decimal", { scale });
}

function remember(schema: AvroObject, named: NamedTypes): void {
  const name = String(schema["name"]);
  named.set(name, schema);
  const space = schema["namespace"];
  if (typeof space === "string") named.set(`${space}.${name}`, schema);
}

const aliases: Readonly<Record<string, string>> = {
  int: "integer",
  int2: "smallint",
  int4: "integer",
  int8: "bigint",
  float4: "real",
  float8: "double precision",
  float: "double precision",
  bool: "boolean",
  decimal: "numeric",
  varchar: "character varying",
  char: "character",
  bpchar: "character",
  timestamptz: TIMESTAMPTZ,
  timestamp: TIMESTAMP,
  timetz: "time with time zone",
  time: TIME,
};

const TYPE_NAME = /^([a-z_][a-z0-9_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$/;

/** A type that the user wrote, spelt as format_type() does; null when it does not look like a type's name. */
export function canonicalType(written: string): string | null {
  const match = TYPE_NAME.exec(written.trim().toLowerCase());
  if (match === null) return null;
  const [, name = "", length, places = "0"] = match;
  const base = aliases[name] ?? name;
  if (length === undefined) return base === "character" ? "character(1)" : base;
  if (base === "numeric") return `numeric(${length},${places})`;
  if (base === "character varying") return `${base}(${length})`;
  // The length stands behind the first word: timestamp(3) with time zone.
  const [head = "", ...rest] = base.split(" ");
  return [`${head}(${length})`, ...rest].join(" ");
}

/**
 * The type that a parameter is cast to: without length or scale, since an explicit cast to varchar(3) cuts a text off
 * silently, where the assignment to the column refuses it.
 */
export const parameterType = (sql: string): string => {
  const bare = sql.replace(/\([^)]*\)/, "");
  return bare === "character" ? "bpchar" : bare;
};
