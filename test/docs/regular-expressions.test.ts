// No expression of the source may take more than linear time: many see texts that somebody else has written.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import ts from "typescript";
import { backtracks } from "../support/backtracking.ts";

const root = join(import.meta.dirname, "../../src");
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .sort();

/** Texts of our own, of bounded length: the source of this process's own functions. */
const OWN_TEXTS: readonly string[] = ["engine/notes/shape-code.ts"];

interface Literal {
  readonly file: string;
  readonly place: string;
  readonly text: string;
}

const literals: Literal[] = [];
/** Expressions that are made of texts, as their source says. */
const made: Literal[] = [];
for (const file of files) {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const visit = (node: ts.Node): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    const place = `src/${file}:${String(line + 1)}`;
    if (ts.isRegularExpressionLiteral(node)) literals.push({ file, place, text: node.text });
    const isMade = ts.isNewExpression(node) || ts.isCallExpression(node);
    if (isMade && node.expression.getText() === "RegExp")
      made.push({ file, place, text: node.arguments?.[0]?.getText() ?? "" });
    ts.forEachChild(node, visit);
  };
  visit(source);
}

test("every expression of the source takes linear time, whatever text it is given", () => {
  const slow = literals
    .filter(({ file }) => !OWN_TEXTS.includes(file))
    .flatMap(({ place, text }) => {
      const end = text.lastIndexOf("/");
      const why = backtracks(new RegExp(text.slice(1, end), text.slice(end + 1)));
      return why === null ? [] : [`${place} ${text}: ${why}`];
    });
  assert.ok(literals.length > 100);
  assert.deepEqual(slow, []);
});

/** Made of texts in which every character is escaped, with nothing that repeats but one `\\d+` behind a mark. */
const OF_LITERALS = ["core/secrets.ts", "operate/orphans/prune.ts"].map((name) => `engine/${name}`);
/** Made when they are imported. */
const AT_IMPORT = ["core/shown-address.ts", "notes/kinds.ts"].map((name) => `engine/${name}`);
/** Expressions for a file whose bytes are compared with our own list first. */
const OF_KNOWN_FILES = ["stack/download.ts"];

test("expressions that are made of texts are few, and linear too", async () => {
  const known = [...OF_LITERALS, ...AT_IMPORT, ...OF_KNOWN_FILES];
  assert.deepEqual([...new Set(made.map(({ file }) => file))].sort(), known.sort());
  const seen = await madeAtImport(AT_IMPORT);
  assert.ok(seen.length > 2);
  assert.deepEqual(
    seen.filter((one) => backtracks(one) !== null),
    [],
  );
});

/** In a process that has not imported them yet. */
async function madeAtImport(names: readonly string[]): Promise<RegExp[]> {
  const script = `
    const { RegExp: Real } = globalThis;
    const seen = [];
    globalThis.RegExp = new Proxy(Real, {
      construct: (of, [source, flags]) => (seen.push([source, flags ?? ""]), new of(source, flags)),
    });
    for (const name of ${JSON.stringify(names)}) await import(${JSON.stringify(`${root}/`)} + name);
    console.log(JSON.stringify(seen));`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--input-type=module",
    "-e",
    script,
  ]);
  return (JSON.parse(stdout) as [string, string][]).map(
    ([source, flags]) => new RegExp(source, flags),
  );
}

test("expressions that backtrack are found, and others are not", () => {
  const slow = [
    ...[
      /0+$/,
      /\s+$/,
      /a*a*b/,
      /(a*)*b/,
      /(?:a*b?)*c/,
      /^(a|a)*$/,
      /^(a|ab|b)*$/,
      /([a-z]+:\/\/)[^\s"']*@/,
    ],
    ...[
      /^\s*(\w+\s*)*$/,
      /x(?=a*a*b)/,
      /^(?:a{2,}){2,}$/,
      /,\s*\(?\s*'/,
      /[/?#][^]*@/,
      /^.*?a.*?a.*?b/,
    ],
  ];
  for (const one of slow) assert.notEqual(backtracks(one), null, String(one));
  const quick = [
    ...[
      /^0+$/,
      /\d+/,
      /^a*b*c$/,
      /^(?:a+,)*a+$/,
      /-r\d+(-input)?$/,
      /"[^"]*"|'[^']*'/g,
      /^[^:]*: /,
    ],
    ...[
      /^(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/,
      /\/[^/]*$/,
      /^(.+)-(\d{1,9})$/,
      /^(?:,\d{1,3})*$/,
      /(ab)+/,
    ],
  ];
  for (const one of quick) assert.equal(backtracks(one), null, String(one));
});
