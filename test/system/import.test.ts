// Files of many rows into a real topic: each row once, whatever ends the command. The file of 1.3 million rows is in
// test/long/long-import.ts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { goodBaskets, Import, lineToGoOn, writeImportFile } from "../support/import-file.ts";
import { sharedStack, type StackEnv } from "../support/stack.ts";

const ROWS = 40_000;
const BAD_EVERY = 3_300;
/** Rows a second that leave time to end the command in the middle. */
const SLOW = ["--rate", "8000"];

let env: StackEnv;
before(async () => (env = await sharedStack()));

test("a killed import goes on behind its last row, and no row is sent twice", async (t) => {
  const at = await Import.start(t, env);
  const file = join(at.folder, "lines.csv");
  const rejects = join(at.folder, "rejects.csv");
  const problems = writeImportFile(file, ROWS, BAD_EVERY);
  const argv = ["--file", file, "--on-invalid", "reject-file", rejects];
  await at.interrupted("SIGKILL", 3_000, [...argv, ...SLOW]);
  const first = (await at.baskets()).length;
  assert.ok(first > 0 && first < ROWS - problems.length, `${String(first)} sent before the kill`);

  const refused = await at.produce(...argv);
  assert.equal(refused.code, 5, refused.out);
  const next = lineToGoOn(refused.out);
  assert.equal((await at.produce(...argv, "--from-line", "2")).code, 5);
  const stopped = await at.interrupted("SIGTERM", 3_000, [...argv, ...SLOW, "--from-line", next]);
  assert.equal(stopped.code, 130, stopped.out);
  assert.match(stopped.out, /records were sent, of the lines up to \d+\. To go on: npx millrace/);

  const rest = await at.produce(...argv, "--from-line", lineToGoOn(stopped.out));
  assert.equal(rest.code, 0, rest.out);
  assert.deepEqual(await at.baskets(), goodBaskets(ROWS, BAD_EVERY));
  assert.deepEqual(
    readFileSync(rejects, "utf8").trim().split("\n").slice(1),
    problems.map(({ line, column, reason }) =>
      [String(line), column, reason.includes(",") ? `"${reason}"` : reason].join(","),
    ),
  );
});

test("standard input is read, and its rows arrive once", async (t) => {
  const at = await Import.start(t, env);
  const file = join(at.folder, "lines.csv");
  writeImportFile(file, 2_000, 600);
  const { code, out } = await at.piped(file, "--on-invalid", "skip");
  assert.equal(code, 0, out);
  assert.match(out, /1,997 records sent to .*; 3 invalid rows skipped/);
  assert.deepEqual(await at.baskets(), goodBaskets(2_000, 600));
  const stopped = await at.piped(file);
  assert.equal(stopped.code, 1);
  assert.match(stopped.out, /standard input line 601, column sales_value: .*add --from-line 601/);
});
