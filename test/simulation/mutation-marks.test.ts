// Marks of deliberate mistakes in src/engine, and the entries of mutations.ts that say what is changed there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { engineSources, marksIn, withMistake, type Sources } from "./mutation-marks.ts";
import { mutations, type Change } from "./mutations.ts";

const engine = engineSources();

/** Returns a file with a mistake called m, changed. */
function changed(text: string, ...changes: Change[]): string {
  const mutation = { name: "m", mistake: "", changes };
  return withMistake(new Map([["/a.ts", text]]), mutation).get("/a.ts") as string;
}

test("every mark has an entry, and every change of an entry one mark", () => {
  const known = new Set(mutations.map(({ name }) => name));
  assert.equal(known.size, mutations.length);
  assert.deepEqual(
    marksIn(engine).filter(({ name }) => !known.has(name)),
    [],
  );
  for (const mutation of mutations) assert.ok(withMistake(engine, mutation).size > 0);
});

test("documents say how many mistakes there are", () => {
  const own = mutations.filter((one) => one.test !== undefined).length;
  const [all, seen] = [mutations.length, mutations.length - own].map(String);
  const said = {
    "ARCHITECTURE.md": `; ${all} deliberate`,
    "docs/simulation.md": `So ${all} mistakes`,
  };
  for (const [file, words] of Object.entries(said)) assert.ok(textOf(file).includes(words), file);
  assert.ok(textOf("docs/simulation.md").includes(`: ${seen} by\nthe simulation`));
});

const textOf = (file: string): string =>
  readFileSync(join(import.meta.dirname, "../..", file), "utf8");

test("every mistake leaves the engine correct TypeScript", () => {
  let waiting = mutations.map((mutation) => withMistake(engine, mutation));
  while (waiting.length > 0) {
    // As many at once as have no file in common: checking the whole engine takes seconds.
    const together = new Map<string, string>();
    const isMet = (files: Sources): boolean => [...files.keys()].some((path) => together.has(path));
    waiting = waiting.filter((files) => {
      if (isMet(files)) return true;
      for (const [path, text] of files) together.set(path, text);
      return false;
    });
    assert.deepEqual(faultsOf(together), []);
  }
});

/** Files as they are on disk, parsed once for all programs. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** The compiler's faults in these files, which replace those on disk. */
function faultsOf(files: Sources): string[] {
  const root = join(import.meta.dirname, "../..");
  const config = ts.readConfigFile(join(root, "tsconfig.json"), (path) =>
    readFileSync(path, "utf8"),
  );
  const { options } = ts.convertCompilerOptionsFromJson(
    (config.config as { compilerOptions: unknown }).compilerOptions,
    root,
  );
  const host = ts.createCompilerHost(options, true);
  const readFile = host.readFile.bind(host);
  host.readFile = (path) => files.get(path) ?? readFile(path);
  const parse = host.getSourceFile.bind(host);
  host.getSourceFile = (path, version) => {
    if (files.has(path)) return parse(path, version);
    if (!parsed.has(path)) parsed.set(path, parse(path, version));
    return parsed.get(path);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files.keys()].flatMap((path) => {
    const file = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ messageText, start = 0 }) =>
        `${path}: ${ts.flattenDiagnosticMessageText(messageText, " ")} at: ${(files.get(path) ?? "").slice(start, start + 60)}`,
    );
  });
}

test("what is marked is found wherever it stands, and changed whole or in part", () => {
  const mark = "// mistake: m\n";
  assert.equal(changed(`{ a();\n${mark}b(1,\n2); c(); }`, "omit"), `{ a();\n${mark}; c(); }`);
  assert.equal(changed(`f(\n${mark}a, b)`, "omit"), `f(\n${mark} b)`);
  assert.equal(changed(`f({ a,\n${mark}b: 1,\n c })`, "omit"), `f({ a,\n${mark}\n c })`);
  assert.equal(
    changed(`class A {\n${mark}b = 1;\n c = 2 }`, "omit"),
    `class A {\n${mark}\n c = 2 }`,
  );
  assert.equal(changed(`${mark}b();`, { before: "a();" }), `${mark}a();\nb();`);
  assert.equal(changed(`${mark}b(); c();`, { after: "a();" }), `${mark}b();\na(); c();`);
  assert.equal(changed(`${mark}b();`, { instead: "a();" }), `${mark}a();`);
  assert.equal(
    changed(`${mark}// why\nif (a && b) c();`, { condition: (was) => `!(${was})` }),
    `${mark}// why\nif (!(a && b)) c();`,
  );
  assert.equal(
    changed(`${mark}const a = b ? c : d;`, { condition: "true" }),
    `${mark}const a = true ? c : d;`,
  );
  assert.equal(
    changed(`f = () =>\n${mark}a ? b : c;`, { condition: "0" }),
    `f = () =>\n${mark}0 ? b : c;`,
  );
  assert.equal(
    changed(`${mark}const a: number = b;`, { value: "1" }),
    `${mark}const a: number = 1;`,
  );
  assert.equal(changed(`${mark}this.a = b;`, { value: "1" }), `${mark}this.a = 1;`);
  assert.equal(
    changed(`${mark}for (const a of b) c();`, { value: (was) => `${was}.slice(1)` }),
    `${mark}for (const a of b.slice(1)) c();`,
  );
  const [first, second] = ["// mistake: m (1 of 2)\n", "// mistake: m (2 of 2)\n"];
  assert.equal(
    changed(`${second}a();\n${first}b();`, "omit", { instead: "c();" }),
    `${second}c();\n${first};`,
  );
});

test("a mark that is missing, doubled, or above nothing that can be so changed is refused", () => {
  const mark = "// mistake: m\n";
  assert.throws(() => changed("a();", "omit"), /the marks of no place, .* the changes 1 of 1/);
  assert.throws(() => changed(`${mark}a();\n${mark}b();`, "omit"), /the marks 1 of 1, 1 of 1,/);
  assert.throws(() => changed(`${mark}a();`, "omit", "omit"), /the changes 1 of 2, 2 of 2/);
  assert.throws(() => changed(`{ a();\n${mark}}`, "omit"), /a\.ts:2 stands above nothing/);
  assert.throws(
    () => changed(`${mark}a();`, { condition: "true" }),
    /above code without condition/,
  );
  assert.throws(() => changed(`${mark}a();`, { instead: "a();" }), /changes nothing/);
});
