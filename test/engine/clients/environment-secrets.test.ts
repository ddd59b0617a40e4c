import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hidingSecretsOf } from "../../../src/engine/clients/environment-secrets.ts";

const dir = mkdtempSync(join(tmpdir(), "millrace-secrets-"));
after(() => rmSync(dir, { recursive: true }));

test("secrets in files are hidden like those in the environment", () => {
  const file = join(dir, "url");
  writeFileSync(file, "postgres://u:swordfish-1@db/d\n");
  const hide = hidingSecretsOf({ DATABASE_URL_FILE: file, GEOCODER_TOKEN: "swordfish-2" });
  assert.equal(hide("swordfish-1, swordfish-2"), "***, ***");
});

test("a secret in the place of a path is hidden", () => {
  const hide = hidingSecretsOf({ KAFKA_SASL_PASSWORD_FILE: "swordfish-3" });
  assert.equal(hide("open 'swordfish-3'"), "open '***'");
});

test("a pipe is left to who reads it, and a folder and a path that leads nowhere are no error", () => {
  const pipe = join(dir, "pipe");
  execFileSync("mkfifo", [pipe]);
  const hide = hidingSecretsOf({
    REDIS_URL_FILE: pipe,
    KAFKA_SSL_KEY_FILE: dir,
    KAFKA_SASL_PASSWORD_FILE: join(dir, "none"),
  });
  assert.equal(hide("all is well"), "all is well");
});
