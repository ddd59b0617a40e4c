// Can a reader with the new schema read what was written with the old one (BACKWARD)? If not: which field, and why.
// Stricter than reading (avro-resolution.ts): a name, a symbol and the digits of a decimal count here, before they are lost.
import {
  branchFor,
  coversDigits,
  isNamedAlike,
  logicalText,
  matchedFields,
  mismatch,
  scalarProblem,
} from "./avro-matching.ts";
import { parseAvro, parseWriter } from "./avro-parser.ts";
import {
  branchNameOf,
  fieldPath,
  type AvroShape,
  type EnumShape,
  type RecordShape,
} from "./avro-shape.ts";
import { ConfigError, MillraceError } from "./errors.ts";
import type { AvroSchema } from "./schema.ts";

/** A sentence for each field that prevents it; empty when `reader` can read everything that `writer` wrote. */
export function incompatibilities(reader: AvroShape, writer: AvroShape): readonly string[] {
  const comparison = new SchemaComparison(new Set());
  comparison.compare(reader, writer, "");
  return comparison.problems;
}

/**
 * Null when a schema can read everything that a registered one of its subject wrote; else MILL_SCHEMA_INCOMPATIBLE, or
 * MILL_SCHEMA_INVALID where the registered one is no Avro.
 */
export function incompatibility(
  subject: string,
  schema: string,
  registered: string,
): MillraceError | null {
  try {
    const reader = parseAvro(JSON.parse(schema) as AvroSchema);
    const writer = parseWriter(JSON.parse(registered) as AvroSchema);
    const problems = incompatibilities(reader, writer);
    if (problems.length === 0) return null;
    return new ConfigError("MILL_SCHEMA_INCOMPATIBLE", `${subject}: ${problems.join("; ")}`);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    return new ConfigError("MILL_SCHEMA_INVALID", `${subject}: the registered schema is no Avro`);
  }
}

/** Throws what `incompatibility` finds. */
export function checkCompatible(subject: string, schema: string, registered: string): void {
  const problem = incompatibility(subject, schema, registered);
  if (problem !== null) throw problem;
}

class SchemaComparison {
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
    const at = branchFor(branches, writer, (branch) => this.#isReadable(branch, writer));
    // A branch of the same name says more than "no branch".
    const branch = branches[at >= 0 ? at : branchFor(branches, writer, () => true)];
    if (branch !== undefined) this.#single(branch, writer, path);
    else this.#say(path, `no branch of the union can read ${branchNameOf(writer)}`);
  }

  #isReadable(reader: AvroShape, writer: AvroShape): boolean {
    const attempt = new SchemaComparison(this.#seen);
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
    const problem = "logical" in reader ? scalarProblem(reader, writer) : mismatch(reader, writer);
    if (problem !== null) this.#say(path, problem);
    else if (!coversDigits(reader, writer))
      this.#say(path, `${logicalText(writer)} cannot be read as ${logicalText(reader)}`);
    else if (reader.kind === "fixed" && writer.kind === "fixed" && !isNamedAlike(reader, writer))
      this.#say(path, `the fixed ${writer.name} cannot be read as ${reader.name}`);
  }

  #record(reader: RecordShape, writer: RecordShape, path: string): void {
    const pair = `${reader.name}<${writer.name}`;
    if (this.#seen.has(pair)) return;
    this.#seen.add(pair);
    if (!isNamedAlike(reader, writer))
      this.#say(path, `the record ${writer.name} cannot be read as ${reader.name}`);
    const matched = matchedFields(reader, writer);
    for (const [i, field] of reader.fields.entries()) {
      const at = fieldPath(path, field.name);
      const written = writer.fields[matched[i] ?? -1];
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
