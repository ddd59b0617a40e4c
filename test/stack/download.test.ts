import assert from "node:assert/strict";
import { execSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fetched, folderOf, isFetched, versionOf } from "../../src/stack/download.ts";

const dir = mkdtempSync(join(tmpdir(), "millrace-unit-"));
after(() => rmSync(dir, { recursive: true }));
const cache = join(dir, "cache");
const calls = join(dir, "calls");
const env = { PATH: `${dir}:${process.env["PATH"] ?? ""}` };
const lists = join(dir, "lists");
const place = { cache, env, say: () => undefined, lists };
beforeEach(() => {
  rmSync(cache, { recursive: true, force: true });
  rmSync(lists, { recursive: true, force: true });
  mkdirSync(lists);
  rmSync(calls, { force: true });
});

/** A Maven that notes each call, then does this with the folder it is to fill. */
function fakeMaven(script: string): void {
  const out = 'for a; do case "$a" in -DoutputDirectory=*) out="${a#*=}";; esac; done';
  writeFileSync(join(dir, "mvn"), `#!/bin/sh\necho "$@" >> ${calls}\n${out}\n${script}\n`);
  chmodSync(join(dir, "mvn"), 0o755);
}
/** The list of one folder: what each file of it is to be. */
function listed(folder: string, files: Readonly<Record<string, string>>): void {
  const lines = Object.entries(files).map(
    ([path, bytes]) => `${createHash("sha256").update(bytes).digest("hex")}  ${path}\n`,
  );
  writeFileSync(join(lists, `${basename(folder)}.sha256`), lines.join(""));
}
const callCount = (): number => readFileSync(calls, "utf8").trim().split("\n").length;

test("what was fetched once is not fetched again, also by two at once", async () => {
  fakeMaven('mkdir -p "$out"; sleep 0.2; echo jar > "$out/a.jar"');
  listed(folderOf(cache, "kafka"), { "a.jar": "jar\n" });
  const folders = await Promise.all([fetched("kafka", place), fetched("kafka", place)]);
  assert.deepEqual(folders, [folderOf(cache, "kafka"), folderOf(cache, "kafka")]);
  await fetched("kafka", place);
  assert.equal(callCount(), 1);
  assert.equal(readFileSync(join(folders[0], "a.jar"), "utf8"), "jar\n");
  assert.equal(existsSync(join(cache, ".lock")), false);
});

test("another version of Kafka lies beside the pinned one", async () => {
  fakeMaven('mkdir -p "$out"; for a; do echo "$a"; done | grep kafka.version > "$out/asked"');
  const older = { ...place, env: { ...env, MILLRACE_KAFKA_VERSION: "3.9.2" } };
  for (const given of [env, older.env])
    listed(folderOf(cache, "kafka", given), {
      asked: `-Dkafka.version=${versionOf("kafka", given)}\n`,
    });
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
  listed(folderOf(cache, "kafka"), { "a.jar": "whole\n" });
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
  listed(folderOf(cache, "redis"), { "redis-server-1-linux-amd64": "#!/bin/sh\n" });
  const folder = await fetched("redis", place);
  assert.equal(statSync(join(folder, "redis-server-1-linux-amd64")).mode & 0o777, 0o755);
});

const whole = { "a.jar": "a\n", "lib/b.jar": "b\n" };
const fetchWhole = 'mkdir -p "$out/lib"; echo a > "$out/a.jar"; echo b > "$out/lib/b.jar"';
const refused = (pattern: RegExp) => (error: Error & { code?: string }) => {
  assert.equal(error.code, "MILL_STACK_CHECKSUM");
  assert.match(error.message, pattern);
  return true;
};

test("a download with another byte, a file too many or one too few is never used", async () => {
  const folder = folderOf(cache, "registry");
  for (const [files, pattern] of [
    [{ ...whole, "lib/b.jar": "B\n" }, /lib\/b\.jar has SHA-256 [0-9a-f]{64}\. Nothing of it/],
    [{ "a.jar": "a\n" }, /lib\/b\.jar is not listed/],
    [{ ...whole, "c.jar": "c\n" }, /c\.jar is missing/],
  ] as const) {
    fakeMaven(fetchWhole);
    listed(folder, files);
    await assert.rejects(fetched("registry", place), refused(pattern));
    assert.equal(isFetched(cache, "registry"), false);
  }
});

test("a cache that was changed later is refused, and the printed command leads back to work", async () => {
  const folder = folderOf(cache, "registry");
  fakeMaven(fetchWhole);
  listed(folder, whole);
  await fetched("registry", place);
  writeFileSync(join(folder, "lib/b.jar"), "B\n");
  let command = "";
  await assert.rejects(fetched("registry", place), (error: Error) => {
    command = /To fetch it anew: (.+)$/.exec(error.message)?.[1] ?? "";
    return refused(/lib\/b\.jar has SHA-256/)(error);
  });
  execSync(command);
  assert.equal(await fetched("registry", place), folder);
  assert.equal(readFileSync(join(folder, "lib/b.jar"), "utf8"), "b\n");
  writeFileSync(join(folder, "lib/evil.jar"), "evil");
  await assert.rejects(fetched("registry", place), refused(/lib\/evil\.jar is not listed/));
});

test("a version without checksums is refused until its user lists what came", async () => {
  const other = { ...place, env: { ...env, MILLRACE_KAFKA_VERSION: "3.8.0" } };
  fakeMaven(fetchWhole);
  let command = "";
  await assert.rejects(fetched("kafka", other), (error: Error) => {
    command = /list it: (.+)$/.exec(error.message)?.[1] ?? "";
    return refused(/no SHA-256 is known of kafka-3\.8\.0/)(error);
  });
  execSync(command);
  assert.equal(await fetched("kafka", other), folderOf(cache, "kafka", other.env));
  fakeMaven(`${fetchWhole}; echo c > "$out/a.jar"`);
  rmSync(folderOf(cache, "kafka", other.env), { recursive: true });
  await assert.rejects(fetched("kafka", other), refused(/a\.jar has SHA-256/));
});

test("Maven checks what it fetches strictly, and every version that we run has its list", async () => {
  fakeMaven(fetchWhole);
  listed(folderOf(cache, "registry"), whole);
  await fetched("registry", place);
  assert.match(readFileSync(calls, "utf8"), / -C /);
  const names = readdirSync(new URL("../../src/stack/checksums/", import.meta.url));
  for (const what of ["kafka", "registry", "redis"] as const)
    assert.ok(names.includes(`${basename(folderOf(cache, what))}.sha256`), what);
});
