import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { shownAddress, withoutLogins } from "../../../src/engine/core/shown-address.ts";
import { addresses, leaks, schemes } from "../../support/secret-shapes.ts";

test("no shape of an address shows its secret", () => {
  for (const scheme of [...Object.values(schemes), "jdbc:postgresql", "mysql"])
    fc.assert(
      fc.property(addresses(scheme), (address) => {
        assert.ok(!leaks(shownAddress(address)), `${address} is shown as ${shownAddress(address)}`);
      }),
      { numRuns: 2_000 },
    );
});

test("an address without a secret is shown as it is", () => {
  for (const address of [
    "127.0.0.1:9092",
    "a.example:9092,b-2.example:9093",
    "http://127.0.0.1:1/apis/ccompat/v7",
    "redis://[::1]:6379/0",
    "postgres://db.example/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem",
  ])
    assert.equal(shownAddress(address), address);
});

test("what is hidden is seen to be hidden", () => {
  const cases: Readonly<Record<string, string>> = {
    "postgres://me:secret@host:1/db": "postgres://***@host:1/db",
    "redis://:se@cret@host:1": "redis://***@host:1",
    "redis://:se@cr/et@host:1": "redis://***",
    "postgres://h/d?sslpassword=x&sslmode=require":
      "postgres://h/d?sslpassword=***&sslmode=require",
    "user:secret@h:9092,h2:9092": "***@h:9092,h2:9092",
    "redis://:secret:h:6379": "redis://***",
    secret: "***",
  };
  for (const [address, shown] of Object.entries(cases)) assert.equal(shownAddress(address), shown);
});

test("addresses inside a text lose their logins and secret parameters, and nothing else changes", () => {
  const text = "lost postgres://u:p@ss@db:5432/x?password=p&sslmode=require (try http://h/docs)";
  const without = "lost postgres://***@db:5432/x?password=***&sslmode=require (try http://h/docs)";
  assert.equal(withoutLogins(text), without);
  assert.equal(withoutLogins("mail me@example.com: a?b=c"), "mail me@example.com: a?b=c");
});

test("a long text without an address takes no time", () => {
  const started = performance.now();
  for (const part of ["a://", "a", "?", "a?b", "://@", "a:", "1,"]) {
    withoutLogins(part.repeat(100_000));
    shownAddress(part.repeat(100_000));
  }
  assert.ok(performance.now() - started < 5_000);
});
