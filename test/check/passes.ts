// The steps of `npm run check` as tests, so that they run beside others, which wait for servers.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

/** Each script of package.json ends well, one after another; what one prints is in the failure of its test. */
export function passes(...scripts: readonly string[]): void {
  for (const script of scripts)
    test(`npm run ${script}`, async () => {
      const ended = await new Promise<{ code: unknown; out: string }>((resolve) => {
        const options = { cwd: root, maxBuffer: 50_000_000 };
        execFile("npm", ["run", "--silent", script], options, (error, out, err) =>
          resolve({ code: error === null ? 0 : error.code, out: out + err }),
        );
      });
      assert.equal(ended.code, 0, ended.out);
    });
}
