// Types that are generated from a schema hold every value that the codec reads with it: the compiler says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import ts from "typescript";
import { parseAvro } from "../../src/engine/core/avro-parser.ts";
import { isDecimal } from "../../src/engine/core/decimal.ts";
import { ConfigError, DecodeError } from "../../src/engine/core/errors.ts";
import type { AvroSchema } from "../../src/engine/core/schema.ts";
import { schemaTypesOf } from "../../src/engine/provision/schema-types.ts";
import { recordOf } from "../engine/decode/avro-corpus/compare.ts";
import { readCorpus, type Case } from "../engine/decode/avro-corpus/corpus.ts";
import { handmade } from "../engine/decode/avro-corpus/handmade.ts";
import { codecOf } from "../engine/decode/avro-support.ts";

/** A value as the source text of a literal. */
function literal(value: unknown): string {
  if (typeof value === "bigint") return `${String(value)}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (isDecimal(value)) return `decimal(${JSON.stringify(value.toString())})`;
  if (value instanceof Uint8Array) return `new Uint8Array([${value.join()}])`;
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`;
  const members = Object.entries(value).map(
    ([key, of]) => `${JSON.stringify(key)}: ${literal(of)}`,
  );
  return `{${members.join()}}`;
}

function valuesOf({ writer, reader, bodies }: Case): readonly unknown[] {
  const codec = codecOf(reader as AvroSchema, { 9: writer as AvroSchema });
  return bodies.flatMap((body) => {
    try {
      return [codec.decode(recordOf(body))];
    } catch (error) {
      if (error instanceof DecodeError) return [];
      throw error;
    }
  });
}

/** The module of a case's reader with its values; null where two types would have one name in TypeScript. */
function moduleOf(one: Case, at: number): string | null {
  try {
    const { text } = schemaTypesOf(JSON.stringify(one.reader), `case-${String(at)}.v1.avsc`);
    const shape = parseAvro(one.reader as AvroSchema);
    const name = "name" in shape ? shape.name.replace(/^.*\./, "") : "";
    const values = valuesOf(one).map(
      (v, i) => `export const v${String(i)}: ${name} = ${literal(v)};\n`,
    );
    return `${text}import { decimal } from "#engine";\n${values.join("")}`;
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.match(error.message, /would be the same type in TypeScript/);
    return null;
  }
}

const ENGINE = `
export interface Schema<T> { readonly of: T }
export interface Decimal { plus(other: Decimal): Decimal }
export declare function avro<T>(schema: unknown): Schema<T>;
export declare function decimal(text: string): Decimal;
`;

/** The compiler takes its time: the pairs that were thought of, and a third of those that were drawn. */
const isChosen = (_: unknown, at: number): boolean => at < handmade.length || at % 3 === 0;

test("each value that is read with a schema fits the type that is generated from it", (t) => {
  const chosen = readCorpus().cases.filter(isChosen);
  const files = new Map([["/engine.ts", ENGINE]]);
  for (const [at, one] of chosen.entries()) {
    const text = moduleOf(one, at);
    if (text !== null)
      files.set(`/case-${String(at)}.ts`, text.replaceAll('"#engine"', '"./engine.ts"'));
  }
  t.diagnostic(`${String(files.size - 1)} of ${String(chosen.length)} schemas`);
  assert.ok(files.size > 150);
  const wrong = "/wrong.ts";
  files.set(wrong, `import type { T0 } from "./case-90.ts"; export const x: T0 = { nothing: 1 };`);
  const mistakes = mistakesIn(files);
  assert.ok(mistakes.length > 0, "the compiler looks");
  assert.deepEqual(
    mistakes.filter((mistake) => !mistake.startsWith(wrong)),
    [],
  );
});

function mistakesIn(files: ReadonlyMap<string, string>): readonly string[] {
  const options: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, types: [] },
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (name, version) => {
    const text = files.get(name);
    return text === undefined
      ? getSourceFile(name, version)
      : ts.createSourceFile(name, text, version);
  };
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  const program = ts.createProgram([...files.keys()], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      (one) =>
        `${one.file?.fileName ?? "?"}: ${ts.flattenDiagnosticMessageText(one.messageText, " ")}`,
    );
}
