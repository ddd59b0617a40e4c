import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { givenAddress } from "../../src/stack/service-names.ts";
import {
  changeStackFile,
  readStackEnv,
  readStackFile,
  stackFileOf,
  withService,
} from "../../src/stack/stack-file.ts";

const dir = mkdtempSync(join(tmpdir(), "millrace-unit-"));
after(() => rmSync(dir, { recursive: true }));
const process = { pid: 1, startedAt: "2" };

test("the environment stays as it is where there is no stack", () => {
  assert.deepEqual(readStackEnv(join(dir, "none"), { A: "1" }), { A: "1" });
});

test("stack.json completes the environment, which wins where both say something", () => {
  const record = { home: "/h", ports: [1], process };
  changeStackFile(dir, (file) => withService(file, "redis", record, "redis://127.0.0.1:1"));
  changeStackFile(dir, (file) => withService(file, "kafka", record, "127.0.0.1:2"));
  assert.deepEqual(readStackEnv(dir, { REDIS_URL: "redis://theirs", HOME: "/h" }), {
    HOME: "/h",
    REDIS_URL: "redis://theirs",
    KAFKA_BROKERS: "127.0.0.1:2",
  });
});

test("an empty variable counts as none, one that names a file counts as set", () => {
  const env = readStackEnv(dir, { REDIS_URL: "", KAFKA_BROKERS_FILE: "/run/secrets/brokers" });
  assert.equal(env["REDIS_URL"], "redis://127.0.0.1:1");
  assert.equal(env["KAFKA_BROKERS"], undefined);
});

test("only the owner can read stack.json, and no half-written one stays", () => {
  assert.equal(statSync(stackFileOf(dir)).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dir), ["stack.json"]);
});

test("a stack.json that is not ours is refused with what to do", () => {
  const broken = join(dir, "broken");
  changeStackFile(broken, (file) => file);
  for (const text of ["{", '{"version":9}', "null"]) {
    writeFileSync(stackFileOf(broken), text);
    assert.throws(() => readStackFile(broken), /remove it, then: npx millrace up/, text);
  }
});

test("an address is taken from the variable, then from the file that *_FILE names", () => {
  const file = join(dir, "secret");
  writeFileSync(file, "postgres://u:p@h/d\n");
  assert.equal(givenAddress("postgres", { DATABASE_URL: "x", DATABASE_URL_FILE: file }), "x");
  assert.equal(givenAddress("postgres", { DATABASE_URL_FILE: file }), "postgres://u:p@h/d");
  assert.equal(givenAddress("postgres", { DATABASE_URL: "" }), undefined);
  assert.throws(() => givenAddress("postgres", { DATABASE_URL_FILE: "/none" }), {
    code: "MILL_CONFIG_INVALID",
  });
});
