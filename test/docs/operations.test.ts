// docs/operations.md against the code: settings, limits, metrics and exit codes, both ways where they are lists.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { exitCodes } from "../../src/cli/io.ts";
import { errorTable, isErrorCode, type ErrorCode } from "../../src/engine/core/error-table.ts";
import { catalogue } from "../../src/engine/observe/catalogue.ts";
import { defaultLimits } from "../../src/engine/runtime/context.ts";
import { settingNames } from "../../src/engine/runtime/host/settings.ts";
import { Breaker } from "../../src/engine/runtime/task/breaker.ts";
import { gateText } from "../../src/engine/notes/gate-note.ts";
import { lookAgain } from "../../src/engine/notes/stops.ts";

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
  const settings = [
    "sessionTimeoutMs",
    "checkpointIntervalMs",
    "purgeIntervalMs",
    "sinkPurgeAfterMs",
    "breaker",
    "haltAbove",
    "slowRecordMs",
  ];
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

const stopSection = text.split("## When a task has stopped")[1]?.split("\n## ")[0] ?? "";

test("every reason that stops a task is documented with the command that its message names", () => {
  const rows = stopSection.split("\n").filter((line) => line.startsWith("| MILL_"));
  const documented = rows.flatMap((row) => {
    const [, codes = "", , cure = ""] = row.split("|");
    return codes.split(",").map((code) => ({ code: code.trim(), cure }));
  });
  for (const { code, cure } of documented) {
    assert.ok(isErrorCode(code), code);
    const isNamed = lookAgain(code, { pipeline: "retail" }) === "";
    if (isNamed) assert.doesNotMatch(cure, /resume/, code);
    else assert.match(cure, /resume|the same/, code);
  }
  // What a running task can meet, of all that halts.
  const stops =
    /^MILL_(SOURCE|TOPIC_(MISSING|PARTITIONS)|RULE|TRANSFORM|KAFKA_(AUTH|REFUSED)|POSTGRES_(AUTH|REFUSED)|TABLE_(DIFFERS|TRIGGER)|REGISTRY_AUTH|REDIS_(AUTH|REFUSED|CLUSTER)|PROGRESS|OUTBOX|STATE_(CHANGELOG|COPY|ENTRY|FORMAT|TYPE)|ENGINE)/;
  const codes = (Object.keys(errorTable) as ErrorCode[]).filter(
    (code) => stops.test(code) && errorTable[code].disposition === "halt",
  );
  assert.deepEqual(documented.map(({ code }) => code).sort(), codes.sort());
});

test("the transcript of a halted pipeline is what the code prints", () => {
  const section = text.split("## When a pipeline is halted")[1]?.split("\n## ")[0] ?? "";
  const [lines = ""] = /```console\n([^]*?)```/.exec(section)?.slice(1) ?? [];
  const told = lines.split("\n").filter((line) => line.includes("is halted since"));
  assert.equal(told.length, 2);
  const limit = { letters: 25, records: 500 };
  const at = { topic: "shops.sales", partition: 0, offset: 125n };
  const breaker = new Breaker("main", limit);
  assert.equal(breaker.firstOver(Array<boolean>(26).fill(true)), 25);
  const { code, message } = breaker.error(at);
  const atMs = Date.parse("2026-11-21T22:04:31.943Z");
  const note = { state: "halted", by: "breaker", code, message, atMs, owner: "w" } as const;
  for (const line of told) assert.equal(line, gateText({ pipeline: "shops" }, note));
});

test("the transcript of resume is what the code prints", () => {
  const [lines = ""] = /```console\n([^]*?)```/.exec(stopSection)?.slice(1) ?? [];
  const hint = lookAgain("MILL_TABLE_DIFFERS", { pipeline: "shops" });
  const { message } = errorTable.MILL_TABLE_DIFFERS;
  const told = lines.split("\n").filter((line) => line.includes("MILL_TABLE_DIFFERS"));
  assert.equal(told.length, 6);
  for (const line of told) {
    assert.ok(line.includes(message), line);
    assert.ok(line.endsWith(hint), line);
  }
  assert.match(lines, /^PART {4}TOPIC {9}PARTITION {2}STOPPED SINCE {13}CODE {16}REASON$/m);
});
