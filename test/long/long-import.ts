// A file of 1.3 million rows with 40 bad ones in four columns: a check names all of them in one pass; the others arrive exactly
// once, also when the command is killed on its way.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  goodBaskets,
  Import,
  lineToGoOn,
  writeImportFile,
  type Problem,
} from "../support/import-file.ts";
import { sharedStack } from "../support/stack.ts";

const ROWS = 1_300_000;
const BAD_EVERY = 32_500;

test("1.3 million rows with 40 bad ones", async (t) => {
  const at = await Import.start(t, await sharedStack());
  const file = join(at.folder, "lines.csv");
  const problems = writeImportFile(file, ROWS, BAD_EVERY);
  assert.equal(problems.length, 40);
  assert.equal(new Set(problems.map(({ column }) => column)).size, 4);

  const startMs = Date.now();
  const checked = await at.produce("--file", file, "--check");
  t.diagnostic(`checked in ${String(Date.now() - startMs)} ms`);
  assert.equal(checked.code, 1);
  const named = [...checked.out.matchAll(/^line (\d+), column (\w+): (.*)$/gm)].map(
    ([, line, column, reason]): Problem => ({
      line: Number(line),
      column: column ?? "",
      reason: reason ?? "",
    }),
  );
  assert.deepEqual(named, problems);
  assert.deepEqual(await at.baskets(), [], "nothing is sent by a check");

  const rejects = join(at.folder, "rejects.csv");
  const argv = ["--file", file, "--on-invalid", "reject-file", rejects];
  await at.interrupted("SIGKILL", 100_000, argv);
  const first = (await at.baskets()).length;
  t.diagnostic(`${String(first)} records before the kill`);
  assert.ok(first > 0 && first < ROWS - 40);
  const refused = await at.produce(...argv);
  assert.equal(refused.code, 5, refused.out);
  const beganMs = Date.now();
  const rest = await at.produce(...argv, "--from-line", lineToGoOn(refused.out));
  t.diagnostic(`${String(ROWS - 40 - first)} records in ${String(Date.now() - beganMs)} ms`);
  assert.equal(rest.code, 0, rest.out);
  assert.deepEqual(await at.baskets(), goodBaskets(ROWS, BAD_EVERY));
  assert.equal(readFileSync(rejects, "utf8").trim().split("\n").length, 41);
});
