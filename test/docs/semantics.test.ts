// docs/semantics.md names the test of each rule of time: the files are there, and so are the mistakes.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { mutations } from "../simulation/mutations.ts";

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

test("every rule has a test of its name, or a mistake that a seed catches", () => {
  const titles = tests.map((file) => readFileSync(join(root, file), "utf8")).join("\n");
  const without = rows
    .map((row) => /[A-Z][0-9]/.exec(row)?.[0] ?? "")
    .filter((rule) => !new RegExp(`["\`(, ]${rule}[:,) ]`).test(titles));
  const byMistakes = without.filter((rule) =>
    rows.some((row) => row.startsWith(`| ${rule} |`) && row.includes("mistake")),
  );
  assert.deepEqual(without, byMistakes);
});

/** The rows of a section's table: the first cell, and the files that the last one names. */
const rowsOf = (section: string): readonly { readonly name: string; readonly files: string[] }[] =>
  (text.split(`## ${section}\n`)[1]?.split("\n## ")[0] ?? "")
    .split("\n")
    .filter((line) => /^\| (?!---)/.test(line))
    .slice(1)
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map((cells) => ({
      name: cells[1] ?? "",
      files: [...(cells.at(-2) ?? "").matchAll(/`([\w/.-]+\.test\.ts)`/g)].map(
        ([, file = ""]) => file,
      ),
    }));

/** What `test(` is followed by in a file. */
const titlesIn = (file: string): string => {
  const path = tests.find((one) => basename(one) === basename(file)) ?? "";
  const source = readFileSync(join(root, path), "utf8");
  return [...source.matchAll(/\btest\(\s*(["'`])(.*?)\1/gs)].map(([, , title]) => title).join("\n");
};

test("every row of the table of operators is a row of the table that its file tests", () => {
  const rowsFound = rowsOf("The table of operators");
  assert.ok(rowsFound.length > 15);
  for (const { name, files } of rowsFound) {
    assert.ok(files.length > 0, name);
    for (const file of files) {
      const path = tests.find((one) => basename(one) === file) ?? "";
      const source = readFileSync(join(root, path), "utf8");
      const isRow = new RegExp(`^  "?${name}(?:, .*)?"?: \\{`, "m").test(source);
      assert.ok(isRow || titlesIn(file).includes(`table, ${name}:`), `${file}: ${name}`);
    }
  }
});
