// Which Postgres type a parsed Avro type becomes, and how its values are written. `sql` is spelt as Postgres'
// format_type() prints it, so a declared type and a found one compare as texts.
import {
  isScalar,
  type AvroShape,
  type Logical,
  type Primitive,
  type ScalarShape,
} from "./avro-shape.ts";

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

export interface FieldType {
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** Why the type cannot be chosen without a word of the user; null when it can. */
  readonly problem: string | null;
}

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

const primitives: Readonly<Record<Exclude<Primitive, "null"> | "fixed", ColumnType>> = {
  string: type("text", "text"),
  boolean: type("boolean", "boolean"),
  int: type("integer", "number"),
  long: type("bigint", "number"),
  float: type("real", "number"),
  double: type("double precision", "number"),
  bytes: type("bytea", "bytes"),
  fixed: type("bytea", "bytes"),
};

const logicals: Readonly<Record<Exclude<Logical["kind"], "decimal">, ColumnType>> = {
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

/** The digits that a numeric of Postgres can be declared with. */
const NUMERIC_DIGITS_MAX = 1000;

/** The column type of a field; null for one that can only be null. */
export function fieldTypeOf(shape: AvroShape): FieldType | null {
  if (shape.kind !== "union") return single(shape, false);
  const branches = shape.branches.filter(({ kind }) => kind !== "null");
  const nullable = branches.length < shape.branches.length;
  const [first, ...others] = branches;
  if (first === undefined) return null;
  return others.length > 0 ? json(shape, nullable) : single(first, nullable);
}

function single(shape: AvroShape, nullable: boolean): FieldType | null {
  if (shape.kind === "null") return null;
  if (isScalar(shape))
    return { type: scalar(shape, shape.kind), nullable, problem: problemOf(shape) };
  if (shape.kind !== "enum") return json(shape, nullable);
  return { type: type("text", "text", { symbols: shape.symbols }), nullable, problem: null };
}

const json = (shape: AvroShape, nullable: boolean): FieldType => ({
  type: JSONB,
  nullable,
  problem: problemInside(shape, "", new Set()),
});

/** The first part whose logical type is ignored, with its path: inside jsonb too it would be raw bytes or numbers. */
function problemInside(shape: AvroShape, path: string, seen: Set<AvroShape>): string | null {
  if (isScalar(shape)) return shape.ignored === undefined ? null : placed(path, shape.ignored);
  if (seen.has(shape)) return null;
  seen.add(shape);
  for (const [name, part, misplaced] of partsOf(shape)) {
    const at = path + name;
    const problem = misplaced === undefined ? problemInside(part, at, seen) : placed(at, misplaced);
    if (problem !== null) return problem;
  }
  return null;
}

const placed = (path: string, problem: string): string =>
  path === "" ? problem : `${path.replace(/^\./, "")}: ${problem}`;

type NamedPart = readonly [name: string, shape: AvroShape, misplaced?: string | undefined];

function partsOf(shape: Exclude<AvroShape, ScalarShape>): readonly NamedPart[] {
  switch (shape.kind) {
    case "record":
      return shape.fields.map((field) => [`.${field.name}`, field.shape, field.misplaced]);
    case "union":
      return shape.branches.map((branch) => ["", branch]);
    case "array":
      return [["[]", shape.items]];
    case "map":
      return [["{}", shape.values]];
    case "enum":
      return [];
  }
}

function scalar({ logical }: ScalarShape, kind: keyof typeof primitives): ColumnType {
  if (logical === null) return primitives[kind];
  if (logical.kind !== "decimal") return logicals[logical.kind];
  const { precision, scale } = logical;
  return type(`numeric(${String(precision)},${String(scale)})`, "decimal", { scale });
}

/** A logical type that Avro ignores was meant for something: nobody wants its raw bytes or numbers unasked. */
function problemOf({ logical, ignored }: ScalarShape): string | null {
  if (logical?.kind === "decimal" && logical.precision > NUMERIC_DIGITS_MAX)
    return `the decimal has more than the ${String(NUMERIC_DIGITS_MAX)} digits of Postgres`;
  return ignored ?? null;
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

const TYPE_NAME = /^([a-z_](?:[a-z0-9_ ]*[a-z0-9_])?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$/;

/** A type that the user wrote, spelt as format_type() does; null when it does not look like a type's name. */
export function canonicalType(written: string): string | null {
  const match = TYPE_NAME.exec(written.trim().toLowerCase());
  if (match === null) return null;
  const [, name = "", length, places = "0"] = match;
  const base = aliases[name] ?? name;
  if (length === undefined) return base === "character" ? "character(1)" : base;
  if (base === "numeric") return `numeric(${length},${places})`;
  if (base === "character varying") return `${base}(${length})`;
  // The length follows the first word: timestamp(3) with time zone.
  const [head = "", ...rest] = base.split(" ");
  return [`${head}(${length})`, ...rest].join(" ");
}

/**
 * The type that a parameter is cast to: without length or scale, since an explicit cast to varchar(3) cuts a text off
 * silently, where the assignment to the column refuses it.
 */
export const parameterType = (sql: string): string => {
  const bare = sql.replace(/\([^()]*\)/, "");
  return bare === "character" ? "bpchar" : bare;
};
