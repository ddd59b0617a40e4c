// Reads an Avro schema: resolves names and namespaces, finds mistakes and names their place. Our own schemas are read
// strictly, with their defaults. A writer's schema is read as Java's Avro reads it: only what its bytes depend on matters.
import { defaultProblem } from "./avro-default.ts";
import {
  branchNameOf,
  bucketOfShape,
  fieldPath,
  isPrimitive,
  logicalOf,
  misplacedLogical,
  type AvroShape,
  type Definition,
  type EnumShape,
  type NamedFacts,
  type FieldShape,
  type RecordShape,
  type UnionShape,
} from "./avro-shape.ts";
import { ConfigError } from "./errors.ts";
import type { AvroSchema } from "./schema.ts";

/** Parses a schema of ours; throws ConfigError MILL_SCHEMA_INVALID naming the place. */
export function parseAvro(schema: AvroSchema): AvroShape {
  const parser = new Parser(true);
  const shape = parser.shapeOf(schema, { namespace: "", path: "" });
  parser.checkDefaults();
  return shape;
}

/**
 * Parses a schema that somebody else wrote with. Names of any form, defaults and symbols that would be refused in a schema
 * of ours are taken. `references` are schemas whose types it names, each after those that it needs itself.
 */
export function parseWriter(schema: AvroSchema, references: readonly AvroSchema[] = []): AvroShape {
  const parser = new Parser(false);
  for (const reference of references) parser.shapeOf(reference, { namespace: "", path: "" });
  return parser.shapeOf(schema, { namespace: "", path: "" });
}

interface SchemaPath {
  readonly namespace: string;
  /** Field names from the root, for messages. */
  readonly path: string;
}

class Parser {
  readonly #isStrict: boolean;
  readonly #named = new Map<string, AvroShape>();
  /** Fields with a default: their types may be complete only when the whole schema is. */
  readonly #defaults: (readonly [FieldShape, SchemaPath])[] = [];

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict;
  }

  checkDefaults(): void {
    for (const [field, place] of this.#defaults) {
      const problem = defaultProblem(field.shape, field.default);
      if (problem !== null) throw invalid(place, `its default does not fit: ${problem}`);
    }
  }

  shapeOf(schema: unknown, place: SchemaPath): AvroShape {
    if (typeof schema === "string") return this.#reference(schema, place);
    if (Array.isArray(schema)) return this.#union(schema, place);
    if (typeof schema !== "object" || schema === null)
      throw invalid(place, "a schema is a text, a list or an object");
    return this.#defined(schema as Definition, place);
  }

  #defined(definition: Definition, place: SchemaPath): AvroShape {
    const { type } = definition;
    if (typeof type !== "string") return this.shapeOf(type, place);
    switch (type) {
      case "record":
      case "error":
        return this.#record(definition, place);
      case "enum":
        return this.#enum(definition, place);
      case "fixed":
        return this.#fixed(definition, place);
      case "array":
        return { kind: "array", items: this.shapeOf(definition["items"], inside(place, "[]")) };
      case "map":
        return { kind: "map", values: this.shapeOf(definition["values"], inside(place, "{}")) };
      default:
        return isPrimitive(type)
          ? { kind: type, ...logicalOf(definition, type, null) }
          : this.#reference(type, place);
    }
  }

  #reference(name: string, place: SchemaPath): AvroShape {
    if (isPrimitive(name)) return { kind: name, logical: null };
    const shape = this.#named.get(qualified(name, place.namespace)) ?? this.#named.get(name);
    if (shape === undefined) throw invalid(place, this.#unknown(name));
    return shape;
  }

  #unknown(name: string): string {
    const sentence = `there is no type ${quoted(name)}`;
    if (this.#isStrict) return sentence;
    return `${sentence} in it, nor in the references that the registry has for it`;
  }

  #union(schemas: readonly unknown[], place: SchemaPath): UnionShape {
    const branches = schemas.map((schema) => this.shapeOf(schema, place));
    const names = branches.map(branchNameOf);
    if (branches.length === 0) throw invalid(place, "a union needs a branch");
    if (branches.some((branch) => branch.kind === "union"))
      throw invalid(place, "a union directly inside a union");
    if (new Set(names).size < names.length)
      throw invalid(place, "a union names the same type twice");
    const used = branches.map(bucketOfShape);
    return { kind: "union", branches, wrapped: new Set(used).size < used.length };
  }

  #record(definition: Definition, place: SchemaPath): RecordShape {
    const named = this.#name(definition, place);
    const fields: FieldShape[] = [];
    const record: RecordShape = { kind: "record", ...named.common, fields };
    this.#named.set(record.name, record);
    if (!Array.isArray(definition["fields"])) throw invalid(place, "a record needs fields");
    const names = new Set<string>();
    for (const field of definition["fields"] as readonly unknown[]) {
      const next = this.#field(field, { namespace: named.namespace, path: place.path });
      if (names.size === names.add(next.name).size)
        throw invalid(place, `the field ${quoted(next.name)} is there twice`);
      fields.push(next);
    }
    return record;
  }

  #field(definition: unknown, place: SchemaPath): FieldShape {
    const field = (typeof definition === "object" ? definition : null) as Definition | null;
    const name = field?.["name"];
    if (field === null || typeof name !== "string" || !this.#takesName(name))
      throw invalid(place, "a field needs a name of letters, digits and _");
    const at = inside(place, name);
    // Assigning to it would replace the object's prototype.
    if (this.#isStrict && name === "__proto__") throw invalid(at, "a field cannot have this name");
    const type = this.shapeOf(field["type"], at);
    const misplaced = misplacedLogical(field, type);
    const shape: FieldShape = {
      name,
      doc: textOf(field["doc"]),
      aliases: namesOf(field["aliases"]),
      hasDefault: field["default"] !== undefined,
      default: field["default"],
      shape: type,
      ...(misplaced === null ? {} : { misplaced }),
    };
    if (shape.hasDefault) this.#defaults.push([shape, at]);
    return shape;
  }

  #enum(definition: Definition, place: SchemaPath): EnumShape {
    const { common } = this.#name(definition, place);
    const symbols = definition["symbols"];
    if (!isListOfTexts(symbols)) throw invalid(place, "an enum needs symbols");
    if (this.#isStrict && (symbols.length === 0 || !symbols.every(isName)))
      throw invalid(place, "an enum needs symbols of letters, digits and _");
    if (new Set(symbols).size < symbols.length)
      throw invalid(place, "an enum has the same symbol twice");
    const fallback = textOf(definition["default"]);
    if (this.#isStrict && fallback !== null && !symbols.includes(fallback))
      throw invalid(place, "the default of an enum must be one of its symbols");
    const shape: EnumShape = { kind: "enum", ...common, symbols, default: fallback };
    this.#named.set(shape.name, shape);
    return shape;
  }

  #fixed(definition: Definition, place: SchemaPath): AvroShape {
    const { common } = this.#name(definition, place);
    const size = definition["size"];
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0)
      throw invalid(place, "a fixed needs a size");
    const shape: AvroShape = {
      kind: "fixed",
      name: common.name,
      aliases: common.aliases,
      size,
      ...logicalOf(definition, "fixed", size),
    };
    this.#named.set(shape.name, shape);
    return shape;
  }

  #name(definition: Definition, place: SchemaPath): { namespace: string; common: NamedFacts } {
    const name = textOf(definition["name"]);
    const own = textOf(definition["namespace"]) ?? place.namespace;
    const full = name === null ? "" : qualified(name, own);
    if (full === "" || (this.#isStrict && !full.split(".").every(isName)))
      throw invalid(place, "a named type needs a name of letters, digits and _");
    if (isPrimitive(full)) throw invalid(place, `${quoted(full)} is the name of a type of Avro`);
    if (this.#named.has(full)) throw invalid(place, `the type ${quoted(full)} is there twice`);
    const namespace = full.split(".").slice(0, -1).join(".");
    const aliases = namesOf(definition["aliases"]).map((alias) => qualified(alias, namespace));
    return { namespace, common: { name: full, doc: textOf(definition["doc"]), aliases } };
  }

  #takesName(name: string): boolean {
    return this.#isStrict ? isName(name) : name !== "";
  }
}

const isName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);
const quoted = (name: string): string => JSON.stringify(name);
const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);
const isListOfTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const namesOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((name): name is string => typeof name === "string") : [];
/** A leading dot means no namespace. */
const qualified = (name: string, namespace: string): string =>
  name.includes(".") || namespace === "" ? name.replace(/^\./, "") : `${namespace}.${name}`;
const inside = (place: SchemaPath, name: string): SchemaPath => ({
  ...place,
  path: /^[[{]/.test(name) ? place.path + name : fieldPath(place.path, name),
});
const invalid = (place: SchemaPath, what: string): ConfigError =>
  new ConfigError("MILL_SCHEMA_INVALID", place.path === "" ? what : `${place.path}: ${what}`);
