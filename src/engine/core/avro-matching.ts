// Which part of a reader's schema reads which part of a writer's: names, promotions, fields, branches of unions. As Java's
// Avro does, with one rule of ours: a unit of time never changes. Resolution and compatibility both ask here.
import {
  branchNameOf,
  isScalar,
  type AvroShape,
  type FieldShape,
  type FixedShape,
  type Logical,
  type Primitive,
  type RecordShape,
  type ScalarShape,
} from "./avro-shape.ts";

/** Which writer's primitives each may be read from, beside itself. */
const promotions: Readonly<Record<Primitive, readonly string[]>> = {
  null: [],
  boolean: [],
  int: [],
  long: ["int"],
  float: ["int", "long"],
  double: ["int", "long", "float"],
  bytes: ["string"],
  string: ["bytes"],
};
const isPromoted = (reader: AvroShape, writer: AvroShape): boolean =>
  reader.kind in promotions && promotions[reader.kind as Primitive].includes(writer.kind);

interface NamedShape {
  readonly name: string;
  readonly aliases: readonly string[];
}
const isSameName = (reader: NamedShape, writer: NamedShape): boolean =>
  [reader.name, ...reader.aliases].includes(writer.name);
/** The unqualified name may also agree: a moved namespace changes nothing in the bytes. */
export const isNamedAlike = (reader: NamedShape, writer: NamedShape): boolean =>
  [reader.name, ...reader.aliases].some((name) => lastPart(name) === lastPart(writer.name));
const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

const logicalOf = (shape: AvroShape): Logical | null => ("logical" in shape ? shape.logical : null);

/** A writer without a logical type is taken at its word; two different ones never mix (millis and micros). */
export function isSameUnit(reader: AvroShape, writer: AvroShape): boolean {
  const a = logicalOf(reader)?.kind ?? null;
  const b = logicalOf(writer)?.kind ?? null;
  return a === null || b === null || a === b || a === "bigint" || b === "bigint";
}

/** Why one scalar cannot be read as the other; null when it can. */
export function scalarProblem(reader: ScalarShape, writer: AvroShape): string | null {
  if (!isScalar(writer) || !isSameKind(reader, writer)) return mismatch(reader, writer);
  if (!isSameUnit(reader, writer))
    return `${logicalText(writer)} cannot be read as ${logicalText(reader)}`;
  return null;
}

function isSameKind(reader: ScalarShape, writer: ScalarShape): boolean {
  const isDecimal = reader.logical?.kind === "decimal";
  // The length is in the schema or before the bytes: both are known.
  if (isDecimal && writer.logical?.kind === "decimal") return true;
  if (reader.kind === writer.kind)
    return reader.kind !== "fixed" || reader.size === (writer as FixedShape).size;
  // The characters of a text are no digits of two's complement.
  return !isDecimal && isPromoted(reader, writer);
}

/** Every decimal of the writer fits the reader's, before and after the point. */
export function coversDigits(reader: AvroShape, writer: AvroShape): boolean {
  const a = logicalOf(reader);
  const b = logicalOf(writer);
  if (a?.kind !== "decimal" || b?.kind !== "decimal") return true;
  return a.scale >= b.scale && a.precision - a.scale >= b.precision - b.scale;
}

export function logicalText(shape: AvroShape): string {
  const logical = logicalOf(shape);
  if (logical?.kind === "decimal")
    return `decimal(${String(logical.precision)}, ${String(logical.scale)})`;
  return logical?.kind ?? branchNameOf(shape);
}
/** Two types of one name are distinguished by their kinds. */
export function mismatch(reader: AvroShape, writer: AvroShape): string {
  const text = branchNameOf(reader) === branchNameOf(writer) ? inFull : branchNameOf;
  return `${text(writer)} cannot be read as ${text(reader)}`;
}
function inFull(shape: AvroShape): string {
  const size = shape.kind === "fixed" ? ` of ${String(shape.size)} bytes` : "";
  return `the ${shape.kind} ${branchNameOf(shape)}${size}`;
}

/** For each field of the reader the position of the writer's field that it reads; -1 for none. Names go before aliases. */
export function matchedFields(reader: RecordShape, writer: RecordShape): readonly number[] {
  const positions = new Map(writer.fields.map(({ name }, at) => [name, at]));
  const position = (name: string): number => positions.get(name) ?? -1;
  const found = reader.fields.map((field) => position(field.name));
  const taken = new Set(found);
  reader.fields.forEach((field, i) => {
    if (found[i] !== -1) return;
    const at = field.aliases.map(position).find((p) => p >= 0 && !taken.has(p)) ?? -1;
    found[i] = at;
    taken.add(at);
  });
  return found;
}

/**
 * The branch of a reader's union that reads a writer's type; -1 for none. First the same type by its full name, then a
 * record that fits or another named type of the same short name, then what the type may be promoted to.
 */
export function branchFor(
  branches: readonly AvroShape[],
  writer: AvroShape,
  fits: (branch: AvroShape) => boolean,
): number {
  const same = branches.findIndex((branch) => isSameType(branch, writer));
  if (same >= 0) return same;
  const alike = branches.findLastIndex((b) => isOfShortName(b, writer) && fits(b));
  if (alike >= 0) return alike;
  if (writer.kind === "record") return branches.findIndex((b) => b.kind === "record" && fits(b));
  return branches.findIndex((branch) => isPromoted(branch, writer));
}

const isSameType = (branch: AvroShape, writer: AvroShape): boolean =>
  branch.kind === writer.kind &&
  (!("name" in branch) || !("name" in writer) || isSameName(branch, writer));
const isOfShortName = (branch: AvroShape, writer: AvroShape): boolean =>
  branch.kind === writer.kind &&
  "name" in branch &&
  "name" in writer &&
  isNamedAlike(branch, writer);

/** Pairs of records that are being compared already: a record may contain itself. */
type SeenShapes = Map<AvroShape, Set<AvroShape>>;

/** True when the bytes of both mean the same, field by field: then no resolution is needed. */
export function isSameOnTheWire(a: AvroShape, b: AvroShape, seen: SeenShapes = new Map()): boolean {
  if (a.kind === "array" && b.kind === "array") return isSameOnTheWire(a.items, b.items, seen);
  if (a.kind === "map" && b.kind === "map") return isSameOnTheWire(a.values, b.values, seen);
  if (a.kind === "union" && b.kind === "union")
    return allAlike(a.branches, b.branches, (x, y) => sameBranch(x, y, seen));
  if (a.kind === "record" && b.kind === "record") return sameFields(a, b, seen);
  return sameScalar(a, b);
}

/** In a union a name says which branch is meant, so it must be the same. */
const sameBranch = (a: AvroShape, b: AvroShape, seen: SeenShapes): boolean =>
  branchNameOf(a) === branchNameOf(b) && isSameOnTheWire(a, b, seen);

function sameScalar(a: AvroShape, b: AvroShape): boolean {
  if (a.kind === "enum" && b.kind === "enum")
    return allAlike(a.symbols, b.symbols, (x, y) => x === y);
  if (a.kind === "fixed" && b.kind === "fixed" && a.size !== b.size) return false;
  return a.kind === b.kind && isSameLogical(a, b);
}

function sameFields(a: RecordShape, b: RecordShape, seen: SeenShapes): boolean {
  const others = seen.get(a) ?? new Set();
  if (others.has(b)) return true;
  seen.set(a, others.add(b));
  const isSame = (x: FieldShape, y: FieldShape): boolean =>
    x.name === y.name && isSameOnTheWire(x.shape, y.shape, seen);
  return allAlike(a.fields, b.fields, isSame);
}

const allAlike = <T>(a: readonly T[], b: readonly T[], alike: (x: T, y: T) => boolean): boolean =>
  a.length === b.length && a.every((x, i) => alike(x, b[i] as T));

function isSameLogical(reader: AvroShape, writer: AvroShape): boolean {
  const a = logicalOf(reader);
  const b = logicalOf(writer);
  if (a?.kind === "decimal" && b?.kind === "decimal")
    return a.precision === b.precision && a.scale === b.scale;
  return isSameUnit(reader, writer);
}
