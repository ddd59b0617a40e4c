// Can a reader with the new schema read what was written with the old one (BACKWARD)? If not: which field, and why.
// Avro's resolution rules, plus two of ours: a timestamp never changes its unit, and a union is read branch by branch.
import {
  branchNameOf,
  type AvroShape,
  type EnumShape,
  type FieldShape,
  type Logical,
  type Primitive,
  type RecordShape,
} from "./avro-shape.ts";

/** One sentence per field that stands in the way; empty when `reader` can read everything that `writer` wrote. */
export function incompatibilities(reader: AvroShape, writer: AvroShape): readonly string[] {
  const comparison = new Comparison(new Set());
  comparison.compare(reader, writer, "");
  return comparison.problems;
}

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

class Comparison {
  readonly problems: string[] = [];
  /** Records may contain themselves: a pair that is being compared is not entered again. */
  readonly #seen: Set<string>;

  constructor(seen: ReadonlySet<string>) {
    this.#seen = new Set(seen);
  }

  compare(reader: AvroShape, writer: AvroShape, path: string): void {
    if (writer.kind === "union") {
      for (const branch of writer.branches) this.compare(reader, branch, path);
      return;
    }
    if (reader.kind === "union") {
      this.#branch(reader.branches, writer, path);
      return;
    }
    this.#single(reader, writer, path);
  }

  #branch(branches: readonly AvroShape[], writer: AvroShape, path: string): void {
    if (branches.some((branch) => this.#isReadable(branch, writer))) return;
    // The branch of the same name says more than "no branch".
    const same = branches.find((branch) => branchNameOf(branch) === branchNameOf(writer));
    if (same !== undefined) this.#single(same, writer, path);
    else this.#say(path, `no branch of the union can read ${branchNameOf(writer)}`);
  }

  #isReadable(reader: AvroShape, writer: AvroShape): boolean {
    const attempt = new Comparison(this.#seen);
    attempt.compare(reader, writer, "");
    return attempt.problems.length === 0;
  }

  #single(reader: AvroShape, writer: AvroShape, path: string): void {
    if (reader.kind === "record" && writer.kind === "record") this.#record(reader, writer, path);
    else if (reader.kind === "enum" && writer.kind === "enum") this.#enum(reader, writer, path);
    else if (reader.kind === "array" && writer.kind === "array")
      this.compare(reader.items, writer.items, `${path}[]`);
    else if (reader.kind === "map" && writer.kind === "map")
      this.compare(reader.values, writer.values, `${path}{}`);
    else this.#scalar(reader, writer, path);
  }

  #scalar(reader: AvroShape, writer: AvroShape, path: string): void {
    if (!isSameKind(reader, writer)) {
      this.#say(path, `${describe(writer)} cannot be read as ${describe(reader)}`);
      return;
    }
    if (!isSameUnit(reader, writer) || !holdsDigits(reader, writer))
      this.#say(path, `${logicalText(writer)} cannot be read as ${logicalText(reader)}`);
  }

  #record(reader: RecordShape, writer: RecordShape, path: string): void {
    const pair = `${reader.name}<${writer.name}`;
    if (this.#seen.has(pair)) return;
    this.#seen.add(pair);
    if (!isNamedAlike(reader, writer))
      this.#say(path, `the record ${writer.name} cannot be read as ${reader.name}`);
    for (const field of reader.fields) {
      const at = path === "" ? field.name : `${path}.${field.name}`;
      const names = [field.name, ...field.aliases];
      const written = writer.fields.find((other) => names.includes(other.name));
      if (written !== undefined) this.compare(field.shape, written.shape, at);
      else if (!field.hasDefault) this.#say(at, "is new and has no default");
    }
  }

  #enum(reader: EnumShape, writer: EnumShape, path: string): void {
    if (!isNamedAlike(reader, writer))
      this.#say(path, `the enum ${writer.name} cannot be read as ${reader.name}`);
    const lost = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol));
    if (lost.length > 0 && reader.default === null)
      this.#say(path, `symbols were removed and the enum has no default: ${lost.join(", ")}`);
  }

  #say(path: string, what: string): void {
    this.problems.push(`${path === "" ? "the schema" : path}: ${what}`);
  }
}

function isSameKind(reader: AvroShape, writer: AvroShape): boolean {
  if (reader.kind === "fixed" && writer.kind === "fixed")
    return reader.size === writer.size && isNamedAlike(reader, writer);
  if (reader.kind === writer.kind) return true;
  return reader.kind in promotions && promotions[reader.kind as Primitive].includes(writer.kind);
}

const logicalOf = (shape: AvroShape): Logical | null => ("logical" in shape ? shape.logical : null);

/** A writer without a logical type is taken at its word; two different ones never mix (millis and micros). */
function isSameUnit(reader: AvroShape, writer: AvroShape): boolean {
  const a = logicalOf(reader)?.kind ?? null;
  const b = logicalOf(writer)?.kind ?? null;
  return a === null || b === null || a === b || a === "bigint" || b === "bigint";
}

/** Every decimal of the writer fits the reader's, before and after the point. */
function holdsDigits(reader: AvroShape, writer: AvroShape): boolean {
  const a = logicalOf(reader);
  const b = logicalOf(writer);
  if (a?.kind !== "decimal" || b?.kind !== "decimal") return true;
  return a.scale >= b.scale && a.precision - a.scale >= b.precision - b.scale;
}

interface Named {
  readonly name: string;
  readonly aliases: readonly string[];
}
/** The unqualified name may also agree: a moved namespace changes nothing in the bytes. */
const isNamedAlike = (reader: Named, writer: Named): boolean =>
  [reader.name, ...reader.aliases].some((name) => lastPart(name) === lastPart(writer.name));
const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

function logicalText(shape: AvroShape): string {
  const logical = logicalOf(shape);
  if (logical?.kind === "decimal")
    return `decimal(${String(logical.precision)}, ${String(logical.scale)})`;
  return logical?.kind ?? shape.kind;
}
const describe = (shape: AvroShape): string => ("name" in shape ? shape.name : shape.kind);

/** True when the bytes of both mean the same, field by field: then no resolution is needed. */
export function isSameOnTheWire(reader: AvroShape, writer: AvroShape): boolean {
  return sameBytes(reader, writer, new Set());
}

function sameBytes(a: AvroShape, b: AvroShape, seen: Set<AvroShape>): boolean {
  if (a.kind === "array" && b.kind === "array") return sameBytes(a.items, b.items, seen);
  if (a.kind === "map" && b.kind === "map") return sameBytes(a.values, b.values, seen);
  if (a.kind === "union" && b.kind === "union")
    return allAlike(a.branches, b.branches, (x, y) => sameBytes(x, y, seen));
  if (a.kind === "record" && b.kind === "record") return sameFields(a, b, seen);
  return sameScalar(a, b);
}

function sameScalar(a: AvroShape, b: AvroShape): boolean {
  if (a.kind === "enum" && b.kind === "enum") return a.symbols.join() === b.symbols.join();
  if (a.kind === "fixed" && b.kind === "fixed" && a.size !== b.size) return false;
  return a.kind === b.kind && isSameLogical(a, b);
}

function sameFields(a: RecordShape, b: RecordShape, seen: Set<AvroShape>): boolean {
  // Inside itself a record is compared by name alone: its fields are being compared already.
  if (seen.has(a)) return a.name === b.name;
  seen.add(a);
  const isSame = (x: FieldShape, y: FieldShape): boolean =>
    x.name === y.name && sameBytes(x.shape, y.shape, seen);
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
