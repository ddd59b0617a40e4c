// docs/semantics.md names the test of each rule: the files are there, with these titles, and so are the mistakes.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { mutations } from "../simulation/mutations.ts";
import { faultsOf, filesOf, namedRows, titlesOf, type NamedRow } from "./named-tests.ts";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "docs/semantics.md"), "utf8");
const rows = text.split("\n").filter((line) => /^\| [A-Z][0-9] \|/.test(line));
const tests = globSync("test/**/*.test.ts", { cwd: root });

test("every test file and every mistake that a rule names is there", () => {
  const files = [...text.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(([, name = ""]) =>
    basename(name),
  );
  assert.ok(files.length > 20);
  const known = new Set(tests.map((file) => basename(file)));
  assert.deepEqual(
    files.filter((name) => !known.has(name)),
    [],
  );
  const names = new Set(mutations.map(({ name }) => name));
  const said = rows
    .flatMap((row) => [...row.matchAll(/mistakes? ((?:"[^"]+"(?:, )?)+)/g)])
    .flatMap(([, list = ""]) => [...list.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name));
  assert.ok(said.length > 15);
  assert.deepEqual(
    said.filter((name) => !names.has(name)),
    [],
  );
});

const isRule = (rule: string): boolean => /^[A-Z][0-9]$/.test(rule);
/** As a title says it: "S1: …", "… (S3, W1)". */
const isIn = (rule: string, title: string): boolean => new RegExp(`\\b${rule}\\b`).test(title);

test("every row names a test that is there, by its file and its title", () => {
  for (const section of [
    ...["The rules of time", "The rules of operators", "The table of operators"],
    ...["The likeliest mistakes", "Where Kafka Streams differs"],
  ]) {
    const found = namedRows(text, section);
    assert.ok(found.length >= 10, section);
    assert.deepEqual(found.flatMap(faultsOf), [], section);
  }
});

test("a rule of time is named in the title of one of its tests, any other row quotes a title", () => {
  const ofTime = namedRows(text, "The rules of time");
  const names = ofTime.map(({ rule }) => rule).filter(isRule);
  const expected = [
    ...["S1", "S2", "S3", "W1", "W2", "W3", "W4", "O2", "O3", "O4", "M1", "M2", "M3"],
    ...["I1", "I2", "I3", "I4", "B1", "B2", "B3", "B4", "K1", "K2"],
  ];
  assert.deepEqual(
    expected.filter((rule) => !names.includes(rule)),
    [],
  );
  const others = ["The rules of operators", "Where Kafka Streams differs"];
  const rows = [...ofTime, ...others.flatMap((section) => namedRows(text, section))];
  const isNamed = ({ rule, tests: named }: NamedRow): boolean =>
    isRule(rule)
      ? named.some(({ file }) => titlesOf(file).some((title) => isIn(rule, title)))
      : named.some(({ titles }) => titles.length > 0);
  assert.deepEqual(
    rows.filter((row) => !isNamed(row)).map(({ rule }) => rule),
    [],
  );
});

test("a row without a test, without a file, and one whose test has another title are found", () => {
  const faultsIn = (cell: string): readonly string[] =>
    namedRows(`## A\n| rule | test |\n| --- | --- |\n| Q1 | ${cell} |\n`, "A").flatMap(faultsOf);
  assert.deepEqual(faultsIn("by hand"), ["Q1: no test"]);
  assert.deepEqual(faultsIn("`none.test.ts`"), ["Q1: there is no none.test.ts"]);
  assert.deepEqual(faultsIn('`docs/semantics.test.ts`: "every row names a test", "no title"'), [
    'Q1: docs/semantics.test.ts has no test "no title"',
  ]);
});

test("every row of the table of operators is a row of the table that its file tests", () => {
  const rowsFound = namedRows(text, "The table of operators");
  assert.ok(rowsFound.length > 15);
  for (const { rule, tests: named } of rowsFound)
    for (const { file } of named) {
      const source = filesOf(file)
        .map((path) => readFileSync(join(root, path), "utf8"))
        .join("\n");
      const isRow = new RegExp(`^  "?${rule}(?:, .*)?"?: \\{`, "m").test(source);
      const isTitle = titlesOf(file).some((title) => title.includes(`table, ${rule}:`));
      assert.ok(isRow || isTitle, `${file}: ${rule}`);
    }
});
