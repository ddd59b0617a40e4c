import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hiding } from "../../../src/engine/core/secrets.ts";
import { secrets } from "../../support/secret-shapes.ts";

test("a secret is hidden in every form in which it may be sent or printed", () => {
  fc.assert(
    fc.property(secrets, (secret) => {
      const hide = hiding([
        ["SCHEMA_REGISTRY_USERNAME", "someone"],
        ["SCHEMA_REGISTRY_PASSWORD", secret],
      ]);
      const url = new URL("http://host");
      url.password = secret;
      const base64 = (text: string): string => Buffer.from(text).toString("base64");
      for (const text of [
        secret,
        encodeURIComponent(secret),
        url.href,
        base64(secret),
        base64(`someone:${secret}`),
        base64(`\0someone\0${secret}`),
        JSON.stringify({ error: [secret] }),
        new URLSearchParams({ a: secret }).toString(),
      ]) {
        const shown = hide(`before ${text} behind`);
        assert.match(shown, /^before .*\*\*\*.* behind$/, text);
        assert.ok(!shown.includes("canary") && !shown.includes(base64(secret).slice(0, -4)), shown);
      }
    }),
  );
});

test("the secrets of addresses are hidden, and their users, hosts and databases are not", () => {
  const hide = hiding([
    ["DATABASE_URL", "postgres://shop:hunter2@db:5432/orders?sslpassword=swordfish"],
    ["REDIS_URL", "redis://:p%40ss-word@cache"],
    ["PRICES_URL", "https://token-1234@prices.example/v1?size=1000"],
  ]);
  assert.equal(hide("shop at db/orders on cache, 1000"), "shop at db/orders on cache, 1000");
  assert.equal(hide("hunter2 swordfish p@ss-word p%40ss-word token-1234"), "*** *** *** *** ***");
});

test("a private key is hidden as a whole and line by line", () => {
  const lines = [
    "-----BEGIN PRIVATE KEY-----",
    "MIGHAgEAMBMGByqGSM49AgEG",
    "CCqGSM49AwEHBG0wawIBAQQg",
  ];
  const hide = hiding([["KAFKA_SSL_KEY", lines.join("\n")]]);
  assert.equal(hide(lines.join("\n")), "***");
  assert.deepEqual(lines.map(hide), [lines[0], "***", "***"]);
});

test("JSON stays JSON, also where a secret is a number", () => {
  const hide = hiding([
    ["A_TOKEN", "12345678"],
    ["B_PASSWORD", 'a"b\\c-d'],
  ]);
  const line = JSON.stringify({ n: 12345678, m: 5, list: ["x12345678", { t: 'a"b\\c-d' }] });
  assert.deepEqual(JSON.parse(hide(line)), { n: "***", m: 5, list: ["x***", { t: "***" }] });
});

test("a text that is not a secret alone stays: weak ones, names in the same address, parts of words", () => {
  const hide = hiding([
    ["DATABASE_URL", "postgres://millrace:millrace@localhost/millrace"],
    ["A_TOKEN", "true"],
    ["B_PASSWORD", "2026"],
    ["C_PASSWORD", "order"],
  ]);
  const text = "npx millrace up, true, 2026-01-05, orders";
  assert.equal(hide(text), text);
  assert.equal(hide("the order is"), "the *** is");
});
