// docs/windows.md: the sample pipeline and its unit test run and hold; the test has fewer than ten lines.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "node:test";

const root = fileURLToPath(new URL("../..", import.meta.url));
const text = readFileSync(join(root, "docs/windows.md"), "utf8");
const samples = [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) => code);

test("the unit test of a windowed pipeline has fewer than ten lines, an idle close among them, and passes", async (t) => {
  const [declared = "", tested = ""] = samples;
  assert.equal(samples.length, 2);
  assert.ok(tested.trim().split("\n").length < 10);
  assert.match(tested, /advance/);
  mkdirSync(join(root, ".millrace"), { recursive: true });
  const dir = mkdtempSync(join(root, ".millrace", "samples-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "windows.ts");
  writeFileSync(file, `${declared}\n${tested}`);
  await import(pathToFileURL(file).href);
});
