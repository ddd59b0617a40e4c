import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { composeEnv, startDocker, stopDocker } from "../../src/stack/docker.ts";
import { startTimeOf } from "../../src/stack/process.ts";
import { changeStackFile, readStackEnv, withService } from "../../src/stack/stack-file.ts";
import { startStack } from "../../src/stack/stack.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-unit-"));
after(() => rmSync(folder, { recursive: true }));
const dir = join(folder, "stack");
const calls = join(folder, "calls");
const env = { PATH: `${folder}:${process.env["PATH"] ?? ""}` };
const say = (): void => undefined;
beforeEach(() => rmSync(dir, { recursive: true, force: true }));

/** A docker that notes each call, then does this. */
function fakeDocker(script: string): void {
  writeFileSync(calls, "");
  writeFileSync(join(folder, "docker"), `#!/bin/sh\necho "$@" >> ${calls}\n${script}\n`);
  chmodSync(join(folder, "docker"), 0o755);
}

test("containers are started until healthy, and every command finds them until they are down", async () => {
  fakeDocker("");
  await startDocker(dir, env, say);
  assert.match(readFileSync(calls, "utf8"), /compose -f \S+docker-compose\.yml up -d --wait\n/);
  assert.deepEqual(readStackEnv(dir, {}), composeEnv);
  await assert.rejects(startStack({ dir, env, say }), { code: "MILL_STACK_RUNNING" });
  await stopDocker(dir, env, true);
  assert.match(readFileSync(calls, "utf8"), /down --volumes\n$/);
  assert.deepEqual(readStackEnv(dir, {}), {});
});

test("containers are not started beside processes of ours", async () => {
  fakeDocker("");
  const running = { pid: process.pid, startedAt: startTimeOf(process.pid) ?? "" };
  const record = { home: folder, ports: [1], process: running };
  changeStackFile(dir, (file) => withService(file, "redis", record, "redis://127.0.0.1:1"));
  await assert.rejects(startDocker(dir, env, say), { code: "MILL_STACK_RUNNING" });
  assert.equal(readFileSync(calls, "utf8"), "");
});

test("a machine without docker, or without its plugin, is told so; a failure is quoted", async () => {
  await assert.rejects(startDocker(dir, { PATH: "/nowhere" }, say), {
    code: "MILL_STACK_MISSING",
    message: /not on the PATH/,
  });
  fakeDocker("exit 1");
  await assert.rejects(startDocker(dir, env, say), { message: /no compose plugin/ });
  fakeDocker('case "$*" in *version*) ;; *) echo "daemon is away" >&2; exit 1;; esac');
  await assert.rejects(startDocker(dir, env, say), {
    code: "MILL_STACK_FAILED",
    message: /daemon is away/,
  });
  assert.deepEqual(readStackEnv(dir, {}), {});
});
