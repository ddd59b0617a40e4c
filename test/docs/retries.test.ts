// docs/retries.md: its samples, as one module, run and hold.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { test } from "node:test";
import type { Pipeline } from "#engine";

const root = fileURLToPath(new URL("../..", import.meta.url));
const text = readFileSync(join(root, "docs/retries.md"), "utf8");
const samples = [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code);

test("the samples of docs/retries.md run, one after the other", async (t) => {
  assert.equal(samples.length, 2);
  mkdirSync(join(root, ".millrace"), { recursive: true });
  const dir = mkdtempSync(join(root, ".millrace", "samples-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "retries.ts");
  writeFileSync(file, samples.join("\n"));
  const { places } = (await import(pathToFileURL(file).href)) as { places: Pipeline };
  assert.equal(places.plan().parts[0]?.stores[0]?.name, "place-parked");
});

test("every word of a policy is documented", () => {
  for (const word of ["mode", "attempts", "backoff", "within", "fatal", "runMax"])
    assert.match(text, new RegExp(`^\\| \`${word}\` \\|`, "m"));
});
