// TypeScript from an Avro file: an interface per record, a union and a guard per enum, and the schema as a value with the
// definition inside, so that types and decoder come from one text. Pure: text in, text out; the same always.
import { parseAvro } from "../core/avro-parser.ts";
import {
  branchNameOf,
  bucketOf,
  type AvroShape,
  type EnumShape,
  type RecordShape,
  type UnionShape,
} from "../core/avro-shape.ts";
import { ConfigError, MillraceError, messageOf } from "../core/errors.ts";
import type { AvroSchema } from "../core/schema.ts";
import { compileCodec } from "../decode/codec.ts";

export interface SchemaTypes {
  /** Name of the generated file, beside its kin in schemas/types/. */
  readonly file: string;
  readonly text: string;
}

/**
 * The types of one file, such as "order.v1.avsc". Throws ConfigError MILL_SCHEMA_INVALID, which begins with the path.
 */
export function schemaTypesOf(avsc: string, file: string, path: string = file): SchemaTypes {
  const name = FILE_NAME.exec(file)?.[1];
  if (name === undefined) throw invalid(path, "a schema's file is named <name>.v<N>.avsc");
  try {
    const schema = JSON.parse(avsc) as AvroSchema;
    const shape = parseAvro(schema);
    if (shape.kind !== "record") throw invalid(path, "the outermost type must be a record");
    checkDefaults(shape, schema);
    return { file: `${name}.ts`, text: moduleOf(shape, schema, file) };
  } catch (error) {
    if (error instanceof MillraceError && error.message.includes(path)) throw error;
    throw invalid(path, messageOf(error).replace(/^an Avro file cannot be used: /, ""));
  }
}

/** The first line of every file that is written here. */
export const generatedLine = (file: string): string =>
  `// Generated from ../${file} by \`millrace schemas generate\`. Do not edit.`;

const FILE_NAME = /^([a-z0-9-]+\.v\d+)\.avsc$/;
const LINE_MAX = 100;
/** Names of types that the generated code uses itself. */
const TAKEN_TYPES = ["Decimal", "Schema", "Record", "Readonly", "Uint8Array"];
/** Words that cannot be the name of a constant. */
const TAKEN_VALUES =
  "avro break case catch class const continue debugger default delete do else enum export extends false finally for " +
  "function if implements import in instanceof interface let new null package private protected public return static " +
  "super switch this throw true try typeof var void while with yield await arguments eval undefined";

const invalid = (path: string, what: string): ConfigError =>
  new ConfigError("MILL_SCHEMA_INVALID", `${path}: ${what}`);

/** avsc refuses defaults that do not fit, and what else it cannot compile. */
function checkDefaults(shape: RecordShape, schema: AvroSchema): void {
  const options = { schemas: { get: () => undefined }, writerId: null };
  compileCodec({ kind: "avro", name: shape.name, schema }, options);
}

function moduleOf(root: RecordShape, schema: AvroSchema, file: string): string {
  const types = new NamedTypes();
  types.visit(root);
  const blocks = types.found.map((type) =>
    type.kind === "enum" ? enumText(type) : recordText(type),
  );
  const typeName = lastPart(root.name);
  const value = typeName.charAt(0).toLowerCase() + typeName.slice(1);
  if (TAKEN_VALUES.split(" ").includes(value))
    throw new Error(`the record's name would give a constant named ${value}, which cannot be`);
  const imports = types.usesDecimal ? "avro, type Decimal, type Schema" : "avro, type Schema";
  const definition = JSON.stringify(schema, null, 2);
  return [
    generatedLine(file),
    `import { ${imports} } from "#engine";`,
    "",
    `${blocks.join("\n")}export const ${value}: Schema<${typeName}> = avro(${definition});`,
    "",
  ].join("\n");
}

/** The records and enums of a schema, each before what uses it, the outermost last. */
class NamedTypes {
  readonly found: (RecordShape | EnumShape)[] = [];
  usesDecimal = false;
  /** Full names by the name that TypeScript sees. */
  readonly #names = new Map<string, string>();

  visit(shape: AvroShape): void {
    if (bucketOf(shape.kind, logicalNameOf(shape)) === "decimal") this.usesDecimal = true;
    if (shape.kind === "array") this.visit(shape.items);
    else if (shape.kind === "map") this.visit(shape.values);
    else if (shape.kind === "union") shape.branches.forEach((branch) => this.visit(branch));
    else if ((shape.kind === "record" || shape.kind === "enum") && this.#isNew(shape))
      this.#add(shape);
  }

  #add(shape: RecordShape | EnumShape): void {
    if (shape.kind === "record") for (const field of shape.fields) this.visit(field.shape);
    this.found.push(shape);
  }

  #isNew({ name }: RecordShape | EnumShape): boolean {
    const short = lastPart(name);
    const known = this.#names.get(short);
    if (known === name) return false;
    if (known !== undefined)
      throw new Error(`${known} and ${name} would be the same type in TypeScript`);
    if (!/^[A-Z]/.test(short))
      throw new Error(`the name of ${name} must begin with a capital letter`);
    if (TAKEN_TYPES.includes(short)) throw new Error(`the name ${short} is taken; choose another`);
    this.#names.set(short, name);
    return true;
  }
}

function recordText({ name, doc, fields }: RecordShape): string {
  const lines = fields.flatMap((field) => [
    ...comment(field.doc, "  "),
    `  readonly ${field.name}: ${typeText(field.shape)};`,
  ]);
  const head = `export interface ${lastPart(name)} {`;
  return [
    ...comment(doc, ""),
    ...(lines.length === 0 ? [`${head}}`] : [head, ...lines, "}"]),
    "",
  ].join("\n");
}

function enumText({ name, doc, symbols }: EnumShape): string {
  const type = lastPart(name);
  const texts = symbols.map((symbol) => JSON.stringify(symbol));
  return [
    ...comment(doc, ""),
    fitting(`export type ${type} = ${texts.join(" | ")};`, [
      `export type ${type} =`,
      `${texts.map((text) => `  | ${text}`).join("\n")};`,
    ]),
    `export const is${type} = (text: string): text is ${type} =>`,
    fitting(`  [${texts.join(", ")}].includes(text);`, [
      "  [",
      ...texts.map((text) => `    ${text},`),
      "  ].includes(text);",
    ]),
    "",
  ].join("\n");
}

const fitting = (line: string, broken: readonly string[]): string =>
  line.length <= LINE_MAX ? line : broken.join("\n");

/** A doc of Avro as a comment of one paragraph. */
function comment(doc: string | null, indent: string): readonly string[] {
  if (doc === null || doc.trim() === "") return [];
  const text = doc.trim().replace(/\s+/g, " ").replaceAll("*/", "* /");
  return [`${indent}/** ${text} */`];
}

function typeText(shape: AvroShape): string {
  if (shape.kind === "array") return `readonly ${inParentheses(typeText(shape.items))}[]`;
  if (shape.kind === "map") return `Readonly<Record<string, ${typeText(shape.values)}>>`;
  if (shape.kind === "union") return unionText(shape);
  if (shape.kind === "record" || shape.kind === "enum") return lastPart(shape.name);
  return scalars[bucketOf(shape.kind, logicalNameOf(shape))] ?? "null";
}

const scalars: Readonly<Record<string, string>> = {
  boolean: "boolean",
  number: "number",
  bigint: "bigint",
  string: "string",
  bytes: "Uint8Array",
  decimal: "Decimal",
};

/** Null comes last, as one reads it. */
function unionText({ branches, wrapped }: UnionShape): string {
  const isNull = (branch: AvroShape): boolean => branch.kind === "null";
  const ordered = [...branches.filter((b) => !isNull(b)), ...branches.filter(isNull)];
  return ordered
    .map((branch) => (wrapped && !isNull(branch) ? wrappedText(branch) : typeText(branch)))
    .join(" | ");
}

function wrappedText(branch: AvroShape): string {
  const name = branchNameOf(branch);
  return `{ readonly ${name.includes(".") ? JSON.stringify(name) : name}: ${typeText(branch)} }`;
}

const inParentheses = (type: string): string => (/ \| |^readonly /.test(type) ? `(${type})` : type);
const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);
const logicalNameOf = (shape: AvroShape): string | null =>
  "logical" in shape ? (shape.logical?.kind ?? null) : null;
