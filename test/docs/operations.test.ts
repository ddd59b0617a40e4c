// docs/operations.md against the code: settings, limits, metrics and exit codes, both ways where they are lists.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { exitCodes } from "../../src/cli/io.ts";
import { catalogue } from "../../src/engine/observe/catalogue.ts";
import { defaultLimits } from "../../src/engine/runtime/context.ts";
import { settingNames } from "../../src/engine/runtime/host/settings.ts";

const text = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");

/** The first cells of the rows below a heading. */
function firstCells(heading: string): string[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (---|name|limit|metric|what)/.test(line))
    .flatMap((line) => (line.split("|")[1] ?? "").split(","))
    .map((cell) => cell.trim());
}

test("every setting is documented, and every documented one exists", () => {
  const documented =
    text.match(/\b(?:KAFKA|SCHEMA_REGISTRY|REDIS|DATABASE|MILLRACE)_[A-Z_]*[A-Z]\b/g) ?? [];
  assert.deepEqual([...new Set(documented)].sort(), [...settingNames].sort());
});

test("every limit is documented, unless it is a setting", () => {
  const settings = ["sessionTimeoutMs", "checkpointIntervalMs", "purgeIntervalMs"];
  const limits = Object.keys(defaultLimits).filter((name) => !settings.includes(name));
  assert.deepEqual(firstCells("Limits").sort(), limits.sort());
});

test("every metric is documented in the words of the catalogue", () => {
  const rows = catalogue.map(({ name, type, help }) => `| ${name} | ${type} | ${help} |`);
  for (const row of rows) assert.ok(text.includes(row), row);
  assert.deepEqual(firstCells("What it says").sort(), catalogue.map(({ name }) => name).sort());
});

test("every exit code is documented", () => {
  const line = text.split("## Exit codes")[1]?.split("##")[0] ?? "";
  for (const code of Object.values(exitCodes))
    assert.match(line, new RegExp(`\\b${String(code)} `));
});
