// Settings of resources: read with all others, from the environment or a file; every problem at once, and no secret in it.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pipeline, resource, seconds } from "#engine";
import { z } from "zod";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { live } from "../../../src/engine/runtime/live.ts";
import { things } from "../../support/plans.ts";
import { readResources } from "../../../src/engine/runtime/host/resources.ts";

const geocoder = resource("geocoder", {
  env: { GEOCODER_URL: z.url(), GEOCODER_LIMIT: z.coerce.number().default(10) },
  open: (settings) => ({ settings, isOpen: true }),
  close: (client) => void (client.isOpen = false),
});
const mailer = resource("mailer", { env: { MAIL_KEY: z.string().min(5) }, open: () => 1 });

test("a resource is opened with its settings, and closed by itself", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "millrace-"));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "url"), "http://geo.example\n");
  const settings = readResources([geocoder], { GEOCODER_URL_FILE: join(dir, "url") });
  const open = await settings.open(geocoder);
  const client = open.client as { settings: unknown; isOpen: boolean };
  assert.deepEqual(client.settings, { GEOCODER_URL: "http://geo.example", GEOCODER_LIMIT: 10 });
  await open.close();
  assert.equal(client.isOpen, false);
});

test("every problem of every resource is told, and no value of a secret", () => {
  assert.throws(
    () => readResources([geocoder, mailer], { GEOCODER_LIMIT: "many", MAIL_KEY: "abc" }),
    (error) => {
      assert.ok(error instanceof ConfigErrors);
      const text = error.problems.map(({ message }) => message).join("\n");
      assert.equal(error.problems.length, 3);
      assert.match(text, /GEOCODER_URL: .*received nothing/);
      assert.match(text, /GEOCODER_LIMIT: .*received a value/);
      assert.match(text, /MAIL_KEY: .*received a value/);
      assert.doesNotMatch(text, /abc/);
      return true;
    },
  );
});

test("settings of resources are told together with those of the process, before anything is connected", async () => {
  const flow = pipeline("flow", ({ from }) => {
    from(things("in"))
      .mapAsync("ask", (thing) => Promise.resolve(thing), {
        client: geocoder,
        concurrency: 1,
        timeout: seconds(1),
      })
      .to(things("out"));
  });
  const env = { KAFKA_BROKERS: "nowhere", GEOCODER_LIMIT: "many" };
  const checkTables = (): Promise<never[]> => Promise.resolve([]);
  await assert.rejects(live({ pipelines: [flow], env, checkTables }), (error) => {
    assert.ok(error instanceof ConfigErrors);
    const text = error.problems.map(({ message }) => message).join("\n");
    for (const name of ["KAFKA_BROKERS", "GEOCODER_URL", "GEOCODER_LIMIT"])
      assert.match(text, new RegExp(`${name}: `));
    return true;
  });
});
