// Output whose reader has gone, as behind `| head -1`: a quiet end, whatever the command.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { bin } from "../support/worker-process.ts";

async function cut(...argv: readonly string[]): Promise<{ code: unknown; err: string }> {
  const child = spawn(process.execPath, [bin, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [unknown];
  return { code, err };
}

test("nobody reads on: exit 0 and not a word", async () => {
  for (const argv of [["--help"], ["explain", "MILL_USAGE"], ["topics", "--help"]]) {
    const { code, err } = await cut(...argv);
    assert.deepEqual({ code, err }, { code: 0, err: "" }, argv.join(" "));
  }
});

test("an error is still one", async () => {
  const { code, err } = await cut("explain", "MILL_NO_SUCH");
  assert.equal(code, 3);
  assert.match(err, /MILL_NOT_FOUND/);
});
