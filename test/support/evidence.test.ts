// A test that fails on a machine that nobody can look into must leave behind what its processes said.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { before, test } from "node:test";

let out = "";
/** From the list of failures at the end on. */
let end = "";
before(async () => {
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const args = ["--test", "--test-reporter=spec", join(import.meta.dirname, "failing/failing.ts")];
  out = await new Promise((resolve) =>
    execFile(process.execPath, args, { env }, (_, said) => resolve(said)),
  );
  end = out.slice(out.indexOf("failing tests:"));
  assert.match(out, /pass 1\n/);
});

test("a worker's last sixty lines, its health and its lag are diagnostics of the test that failed", () => {
  assert.match(out, /✖ the subtest[^]*ℹ millrace run sums:\n/);
  assert.match(out, /line 42 of the log/);
  assert.match(out, /"message":"listening"/);
  assert.match(out, /\/ready: \{"ok":false,"reason":"the group has no member"\}/);
  assert.match(out, /main sales 0: 41 records behind/);
});

test("lines before them, lines of debug level and processes of tests that passed are left out", () => {
  assert.doesNotMatch(out, /line 41 of the log/);
  assert.doesNotMatch(out, /noise/);
  assert.doesNotMatch(out, /run quiet/);
});

test("commands that ended before are shown, with their output and how they ended", () => {
  assert.match(out, /ℹ millrace lag nobody:\n[^]*ended with 78\n/);
  assert.match(out, /ℹ millrace reprocess run nobody:\n[^]*MILL_/);
});

test("a short form is in the list of failures too, where the output ends", () => {
  assert.match(end, /live has counted everything[^]*millrace run sums:\n/);
  assert.match(end, /the group has no member/);
  assert.match(end, /main sales 0: 41 records behind/);
  assert.doesNotMatch(end, /line 42 of the log/);
});
