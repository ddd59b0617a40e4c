// The main job on real servers, as a newcomer runs it: its own stack in a folder of its own, from nothing.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "millrace-demo-"));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Without addresses of other servers, so that the demo starts its own. */
const env = {
  PATH: process.env["PATH"],
  HOME: process.env["HOME"],
  MILLRACE_CACHE: process.env["MILLRACE_CACHE"] ?? join(root, ".millrace", "cache"),
};

interface Ended {
  readonly code: number | string | null | undefined;
  readonly out: string;
}

const demo = (): Promise<Ended> =>
  new Promise((resolve) => {
    const args = [join(root, "bin/millrace.js"), "demo"];
    const options = { cwd: dir, env, timeout: 220_000, maxBuffer: 50_000_000 };
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, out: `${stdout}${stderr}` }),
    );
  });

test("the demo ends with a ledger that balances, 9,800 rows, 800 unknown customers and 250 letters", async () => {
  const { code, out } = await demo();
  assert.equal(code, 0, out);
  assert.match(out, /main +10050 consumed = 250 dead-lettered \+ 9800 emitted +balances/);
  assert.match(out, /fact_orders +9800 consumed = 9800 emitted +balances/);
  assert.match(out, /rows +9800\n/);
  assert.match(out, /of the unknown customer +800\n/);
  assert.match(out, /rule +200\n/);
  assert.match(out, /decode +50\n/);
  // Personal data of the generator: none of it is said.
  assert.doesNotMatch(out, /@example|@.*\.(com|org|test)/);
  for (const server of ["kafka", "postgres", "registry", "redis"])
    assert.match(out, new RegExp(`${server}: stopped`));
});
