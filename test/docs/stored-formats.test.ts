import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { STORED_FORMAT } from "../../src/engine/core/stored-format.ts";
import { fingerprintOf, storedSamples } from "./stored-formats.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/upgrading.md"), "utf8");

/** Rows of the table under "What is stored": name, version, since, fingerprint. */
const rows = (page.split("## What is stored")[1] ?? "")
  .split("\n")
  .filter(
    (line) => line.startsWith("| ") && !line.startsWith("| ---") && !line.startsWith("| what"),
  )
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, name = "", , version = "", since = "", fingerprint = ""]) => ({
    ...{ name, version, since, fingerprint },
  }));

test("bytes that are stored change only with an entry in docs/upgrading.md", async () => {
  const samples = await storedSamples();
  const found = Object.entries(samples).map(([name, of]) => `${name}: ${fingerprintOf(of)}`);
  const written = rows.map(({ name, fingerprint }) => `${name}: ${fingerprint}`);
  const what =
    "the bytes of a stored format have changed: raise its version in docs/upgrading.md, say what reads the older ones, raise STORED_FORMAT if the release before cannot read them, and write the new fingerprint there";
  assert.deepEqual(found, written, what);
});

test("each stored format has a version, and the release since which it has it", () => {
  for (const { name, version, since } of rows) {
    assert.match(version, /^\d+$/, name);
    assert.match(since, /^(0\.1\.0|unreleased|\d+\.\d+\.\d+)$/, name);
  }
});

test("the page names the stored format that members of groups tell each other", () => {
  assert.ok(page.includes(`This release has stored format ${String(STORED_FORMAT)}`));
});

test("a byte more in any of the samples is another fingerprint", async () => {
  for (const of of Object.values(await storedSamples()))
    for (const [i, sample] of of.entries())
      assert.notEqual(fingerprintOf(of.with(i, `${sample}0`)), fingerprintOf(of));
});
