// An Avro schema, parsed: names resolved and logical types recognised. Made by avro-parser.ts; type generation,
// compatibility and table columns all look at this, and bytes are decode/'s affair.

export type Primitive =
  "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string";

/** A logical type that changes how a value looks in TypeScript; unknown ones are ignored, as Avro says. */
export type Logical =
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: SimpleLogical };
export type SimpleLogical =
  | "uuid"
  | "date"
  | "time-millis"
  | "time-micros"
  | "timestamp-millis"
  | "timestamp-micros"
  | "timestamp-nanos"
  | "local-timestamp-millis"
  | "local-timestamp-micros"
  | "local-timestamp-nanos"
  | "bigint";

export type AvroShape =
  | { readonly kind: Primitive; readonly logical: Logical | null }
  | {
      readonly kind: "fixed";
      readonly name: string;
      readonly size: number;
      readonly logical: Logical | null;
      readonly aliases: readonly string[];
    }
  | EnumShape
  | { readonly kind: "array"; readonly items: AvroShape }
  | { readonly kind: "map"; readonly values: AvroShape }
  | UnionShape
  | RecordShape;

export interface EnumShape {
  readonly kind: "enum";
  /** With its namespace. */
  readonly name: string;
  readonly doc: string | null;
  readonly symbols: readonly string[];
  readonly default: string | null;
  readonly aliases: readonly string[];
}
export interface UnionShape {
  readonly kind: "union";
  readonly branches: readonly AvroShape[];
  /** True when plain values could not tell the branches apart: then { "branch name": value }. */
  readonly wrapped: boolean;
}
export interface RecordShape {
  readonly kind: "record";
  readonly name: string;
  readonly doc: string | null;
  readonly aliases: readonly string[];
  /** A record may contain itself: these lists are filled after the record is known by name. */
  readonly fields: readonly FieldShape[];
}
export interface FieldShape {
  readonly name: string;
  readonly doc: string | null;
  readonly aliases: readonly string[];
  readonly hasDefault: boolean;
  readonly shape: AvroShape;
}

const primitives: ReadonlySet<string> = new Set<Primitive>([
  "null",
  "boolean",
  "int",
  "long",
  "float",
  "double",
  "bytes",
  "string",
]);
export const isPrimitive = (name: string): name is Primitive => primitives.has(name);

/** What each logical type may stand on. */
const underlying: Readonly<Record<SimpleLogical, Primitive>> = {
  uuid: "string",
  date: "int",
  "time-millis": "int",
  "time-micros": "long",
  "timestamp-millis": "long",
  "timestamp-micros": "long",
  "timestamp-nanos": "long",
  "local-timestamp-millis": "long",
  "local-timestamp-micros": "long",
  "local-timestamp-nanos": "long",
  bigint: "long",
};

/** What a value looks like in JavaScript: two branches of a plain union must not share one. */
export type Bucket =
  "null" | "boolean" | "number" | "bigint" | "string" | "bytes" | "decimal" | "array" | "object";

const bigintLogicals: ReadonlySet<string> = new Set([
  "time-micros",
  "timestamp-micros",
  "timestamp-nanos",
  "bigint",
]);
const buckets: Readonly<Record<string, Bucket>> = {
  null: "null",
  boolean: "boolean",
  int: "number",
  long: "number",
  float: "number",
  double: "number",
  string: "string",
  enum: "string",
  bytes: "bytes",
  fixed: "bytes",
  array: "array",
  map: "object",
  record: "object",
};
export function bucketOf(kind: string, logical: string | null): Bucket {
  if (logical === "decimal") return "decimal";
  if (logical !== null && bigintLogicals.has(logical)) return "bigint";
  if (logical === "date" || logical?.startsWith("local-timestamp-") === true) return "string";
  return buckets[kind] ?? "object";
}

/** The name of a branch in Avro's JSON encoding. */
export const branchNameOf = (shape: AvroShape): string =>
  "name" in shape ? shape.name : shape.kind;

/** An Avro definition as it stands in the file. */
export type Definition = Readonly<Record<string, unknown>>;

/** Null for no logical type, an unknown one, or one that does not fit what it stands on: Avro ignores those. */
export function logicalOf(
  definition: Definition,
  kind: string,
  size: number | null,
): Logical | null {
  const name = definition["logicalType"];
  if (typeof name !== "string") return null;
  if (name === "decimal") return decimalOf(definition, kind, size);
  const isKnown = Object.hasOwn(underlying, name) && underlying[name as SimpleLogical] === kind;
  return isKnown ? { kind: name as SimpleLogical } : null;
}

function decimalOf(definition: Definition, kind: string, size: number | null): Logical | null {
  const { precision, scale = 0 } = definition;
  if (kind !== "bytes" && kind !== "fixed") return null;
  if (!isWhole(precision, 1) || !isWhole(scale, 0) || scale > precision) return null;
  // What a two's complement of so many bytes can hold.
  const digitsMax = size === null ? Infinity : Math.floor(Math.log10(2) * (8 * size - 1));
  return precision > digitsMax ? null : { kind: "decimal", precision, scale };
}
const isWhole = (value: unknown, least: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= least;
