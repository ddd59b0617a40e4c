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

/** A logical type, and what is wrong with one that is written there but not used. */
interface WithLogical {
  readonly logical: Logical | null;
  /** A sentence about a logical type that is written and ignored, as Avro says; absent where nothing is lost by that. */
  readonly ignored?: string;
}
export interface FixedShape extends WithLogical {
  readonly kind: "fixed";
  readonly name: string;
  readonly size: number;
  readonly aliases: readonly string[];
}
export interface PrimitiveShape extends WithLogical {
  readonly kind: Primitive;
}
export type ScalarShape = PrimitiveShape | FixedShape;

export type AvroShape =
  | ScalarShape
  | EnumShape
  | { readonly kind: "array"; readonly items: AvroShape }
  | { readonly kind: "map"; readonly values: AvroShape }
  | UnionShape
  | RecordShape;

export const isScalar = (shape: AvroShape): shape is ScalarShape => "logical" in shape;

export interface NamedFacts {
  /** A type's is with its namespace. */
  readonly name: string;
  readonly doc: string | null;
  readonly aliases: readonly string[];
}
export interface EnumShape extends NamedFacts {
  readonly kind: "enum";
  readonly symbols: readonly string[];
  readonly default: string | null;
}
export interface UnionShape {
  readonly kind: "union";
  readonly branches: readonly AvroShape[];
  /** True when plain values would not distinguish the branches: then { "branch name": value }. */
  readonly wrapped: boolean;
}
export interface RecordShape extends NamedFacts {
  readonly kind: "record";
  /** A record may contain itself: these lists are filled after the record is known by name. */
  readonly fields: readonly FieldShape[];
}
export interface FieldShape extends NamedFacts {
  /** A sentence about a logical type that is written beside the field's type, where Avro does not look; absent without one. */
  readonly misplaced?: string;
  readonly hasDefault: boolean;
  /** As JSON; undefined without one. A writer's default is never looked at. */
  readonly default: unknown;
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

/** The type that each logical type may annotate; a uuid may also be a fixed of 16 bytes. */
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

/** The JavaScript type of a value: two branches of a plain union must not share one. */
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
  if (logical === "uuid" || logical === "date" || logical?.startsWith("local-timestamp-") === true)
    return "string";
  return buckets[kind] ?? "object";
}

export const bucketOfShape = (shape: AvroShape): Bucket =>
  bucketOf(shape.kind, "logical" in shape ? (shape.logical?.kind ?? null) : null);

/** The name of a branch in Avro's JSON encoding. */
export const branchNameOf = (shape: AvroShape): string =>
  "name" in shape ? shape.name : shape.kind;

/** The path of a field below another, for messages. */
export const fieldPath = (path: string, name: string): string =>
  path === "" ? name : `${path}.${name}`;

/** An Avro definition as it is in the file. */
export type Definition = Readonly<Record<string, unknown>>;

const UUID_BYTES = 16;

/** The logical type of a definition. An unknown one, or one that does not fit its type, is ignored, as Avro says. */
export function logicalOf(
  definition: Definition,
  kind: Primitive | "fixed",
  size: number | null,
): WithLogical {
  const name = definition["logicalType"];
  if (typeof name !== "string") return { logical: null };
  if (name === "decimal") return decimalOf(definition, kind, size);
  if (name === "uuid" && kind === "fixed")
    return size === UUID_BYTES
      ? { logical: { kind: "uuid" } }
      : ignoring(`a uuid is a string or a fixed of ${String(UUID_BYTES)} bytes`);
  if (!Object.hasOwn(underlying, name)) {
    // Bytes say nothing without a known logical type; any other type says enough by itself.
    const isOpaque = kind === "bytes" || kind === "fixed";
    return isOpaque
      ? ignoring(`the logical type ${JSON.stringify(name)} is not known`)
      : { logical: null };
  }
  const base = underlying[name as SimpleLogical];
  if (base === kind) return { logical: { kind: name as SimpleLogical } };
  return ignoring(`the logical type ${name} stands on ${base}, not on ${kind}`);
}

/**
 * The fault of a logical type around a type instead of in it: the field's own, or one
 * around another definition. A logical type that nobody knows only matters where the type below it
 * says nothing.
 */
export function misplacedLogical(field: Definition, shape: AvroShape): string | null {
  const found = [field, field["type"] as Definition]
    .filter(isAroundType)
    .map(({ logicalType }) => logicalType)
    .find((name) => isMeant(name, shape));
  if (found === undefined) return null;
  return `the logical type ${JSON.stringify(found)} stands beside the type, where Avro does not look: write {"type": …, "logicalType": …} as the field's type`;
}

/** A definition whose type is another definition, a union, or (of a field) a type. */
const isAroundType = (definition: Definition, at: number): boolean =>
  typeof definition === "object" &&
  definition !== null &&
  !Array.isArray(definition) &&
  typeof definition["logicalType"] === "string" &&
  (at === 0 || typeof definition["type"] !== "string");

function isMeant(name: unknown, shape: AvroShape): boolean {
  const branches = shape.kind === "union" ? shape.branches : [shape];
  const isOpaque = branches.some(({ kind }) => kind === "bytes" || kind === "fixed");
  const hasOwn = branches.some((branch) => isScalar(branch) && branch.logical !== null);
  return !hasOwn && (isOpaque || name === "decimal" || Object.hasOwn(underlying, name as string));
}

const ignoring = (ignored: string): WithLogical => ({ logical: null, ignored });

function decimalOf(definition: Definition, kind: string, size: number | null): WithLogical {
  const { precision, scale = 0 } = definition;
  if (kind !== "bytes" && kind !== "fixed")
    return ignoring(`a decimal stands on bytes or fixed, not on ${kind}`);
  if (precision === undefined) return ignoring("the decimal has no precision");
  if (!isWhole(precision, 1)) return ignoring("the decimal's precision is no whole number above 0");
  if (!isWhole(scale, 0)) return ignoring("the decimal's scale is no whole number");
  if (scale > precision) return ignoring("the decimal's scale is above its precision");
  // The digits that a two's complement of so many bytes has room for.
  const digitsMax = size === null ? Infinity : Math.floor(Math.log10(2) * (8 * size - 1));
  if (precision > digitsMax)
    return ignoring(`the decimal has more digits than ${String(size)} bytes can hold`);
  return { logical: { kind: "decimal", precision, scale } };
}
const isWhole = (value: unknown, least: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= least;
