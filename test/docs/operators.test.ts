// An operator is one file that says what it is, one that works it, and a line in a table. Nobody else knows it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pipeline } from "#engine";
import { things } from "../support/plans.ts";

const root = join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const below = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(folder, file));

const table = "src/engine/define/operators/table.ts";
/** The folders of operators; the files beside them are the table's. */
const declared = below("src/engine/define/operators").filter((file) => file !== table);

test("every operator is in the table, and its file names the one file that works it", () => {
  const lines = read(table);
  // A table's own filter is reached by what makes a table, windows by what makes a grouped stream.
  const behind = [
    "bounds/bounds.ts",
    "order/order.ts",
    "keyed/suppress.ts",
    "keyed/table.ts",
    "windows/at-close.ts",
    "windows/shapes.ts",
    "windows/windowed.ts",
  ];
  for (const file of declared) {
    const name = file.slice("src/engine/define/operators/".length);
    if (!behind.includes(name)) assert.ok(lines.includes(`"./${name}"`), `${name} is not listed`);
    const works = [...read(file).matchAll(/from "(?:\.\.\/)+transform\/([^"]+)"/g)];
    const values = works.filter(([, from = ""]) => !/^calls\/call\.ts$/.test(from));
    assert.ok(values.length >= 1, `${name} names no work`);
  }
});

test("nobody but an operator's own files asks for its kind, or whether it has a store or a topic", () => {
  const asks =
    /operation\.kind ===|switch \((?:\w+\.)?operation\.kind\)|"(?:store|topic|table)" in (?:\w+\.)?operation/;
  const own = /^src\/engine\/(define\/operators|transform)\//;
  const others = below("src").filter((file) => !own.test(file));
  assert.ok(others.length > 300);
  assert.deepEqual(
    others.filter((file) => asks.test(read(file))),
    [],
  );
});

test("the table of CONTRIBUTING names the five files of an operator, and the document has every one", () => {
  const row = read("CONTRIBUTING.md")
    .split("\n")
    .find((line) => line.startsWith("| operator |"));
  const files = [...(row ?? "").matchAll(/`([^`]+\.(?:ts|md))`/g)].map(([, file]) => file);
  assert.deepEqual(files, [
    "src/engine/define/operators/<folder>/<name>.ts",
    "src/engine/define/operators/table.ts",
    "src/engine/transform/<folder>/<name>.ts",
    "docs/operators.md",
    "test/engine/transform/<name>.test.ts",
  ]);
  const methods = new Set<string>();
  pipeline("listed", ({ from }) => {
    const stream = from(things("in"));
    const prototype = Object.getPrototypeOf(stream) as object;
    for (const [name, value] of Object.entries(prototype))
      if (typeof value === "function") methods.add(name);
    stream.to(things("out"));
  }).plan();
  const documented = [...read("docs/operators.md").matchAll(/^\| `(\w+)` \|/gm)].map(
    ([, name]) => name,
  );
  assert.deepEqual(documented, [...methods]);
});
