// Wrong credentials of any server end a command, and a start, with exit code 4 and the server's name; commands and pipelines
// ask for no server that they do not use.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { appCommand, appOf, applyApp } from "../support/app.ts";
import { startGuardedKafka, type GuardedKafka } from "../support/guarded-kafka.ts";
import { sharedStack, type StackEnv } from "../support/stack.ts";

const name = `login-${randomBytes(4).toString("hex")}`;
const app = appOf("totals", { TEST_TOPICS: name });
const SECRET = randomBytes(8).toString("hex");
let env: StackEnv;
let kafka: GuardedKafka;
/** A registry that lets nobody in. */
let registry: Server;

before(async () => {
  env = await sharedStack();
  kafka = await startGuardedKafka();
  registry = createServer((_, response) => response.writeHead(401).end("{}"));
  await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
  await applyApp(app, { ...env });
});
after(async () => {
  registry.close();
  await kafka.stop();
});

/** The address with another user and password. */
function loggedIn(address: string, user: string): string {
  const url = new URL(address);
  url.username = user;
  url.password = SECRET;
  return url.href;
}

/** Wrong settings of one server, and what is said of it. */
const wrongs = (): Readonly<Record<string, [Readonly<Record<string, string>>, RegExp]>> => ({
  kafka: [
    { ...kafka.workerEnv, KAFKA_SASL_PASSWORD: SECRET },
    /MILL_KAFKA_AUTH .*[Aa]uthentication failed/,
  ],
  registry: [
    { SCHEMA_REGISTRY_URL: `http://127.0.0.1:${String((registry.address() as AddressInfo).port)}` },
    /MILL_REGISTRY_AUTH /,
  ],
  redis: [{ REDIS_URL: loggedIn(env.REDIS_URL, "nobody") }, /MILL_REDIS_AUTH /],
  postgres: [
    { DATABASE_URL: loggedIn(env.DATABASE_URL, new URL(env.DATABASE_URL).username) },
    /MILL_POSTGRES_AUTH .*28P01/,
  ],
});

test("a start with wrong credentials of any server ends with exit code 4", async (t) => {
  for (const [server, [settings, words]] of Object.entries(wrongs()))
    await t.test(server, async () => {
      const { code, out } = await appCommand(app, ["run"], { ...env, ...settings });
      assert.match(out, words);
      assert.equal(code, 4, out);
      assert.doesNotMatch(out, new RegExp(SECRET));
      assert.doesNotMatch(out, /^ {4}at /m, "no stack");
    });
});

test("several workers with wrong credentials are not started again", async () => {
  const [settings] = wrongs()["postgres"] ?? assert.fail();
  const argv = ["run", "--workers", "2"];
  const { code, out } = await appCommand(app, argv, { ...env, ...settings });
  assert.equal(code, 4, out);
  assert.doesNotMatch(out, /has died/);
});

test("commands with wrong credentials of the server that they use end with exit code 4", async (t) => {
  const all = wrongs();
  const commands: [string, readonly string[]][] = [
    ["kafka", ["topics", "plan"]],
    ["kafka", ["lag"]],
    ["registry", ["topics", "plan"]],
    ["postgres", ["tables", "plan"]],
    ["postgres", ["ledger", "check", name]],
    ["redis", ["state", "get", name, "shop-total", "--key", "s"]],
  ];
  for (const [server, argv] of commands)
    await t.test(`${argv.join(" ")} without ${server}`, async () => {
      const [settings, words] = all[server] ?? assert.fail();
      const { code, out } = await appCommand(app, argv, { ...env, ...settings });
      assert.match(out, words);
      assert.equal(code, 4, out);
    });
});

test("a server that a command or a pipeline does not use need not be set", async (t) => {
  const { KAFKA_BROKERS } = env;
  const plain = appOf("sound");
  for (const argv of [
    ["topics", "plan"],
    ["describe", "sound"],
  ])
    await t.test(argv.join(" "), async () => {
      const { code, out } = await appCommand(plain, argv, { KAFKA_BROKERS });
      assert.ok(code === 0 || code === 1, out);
      assert.doesNotMatch(out, /MILL_CONFIG/);
    });
  const needed = await appCommand(app, ["run"], { KAFKA_BROKERS });
  assert.equal(needed.code, 78);
  for (const name of ["SCHEMA_REGISTRY_URL", "REDIS_URL", "DATABASE_URL"])
    assert.match(needed.out, new RegExp(`MILL_CONFIG_INVALID .*${name}: .*received nothing`));
  const tables = await appCommand(app, ["tables", "plan"], { KAFKA_BROKERS });
  assert.equal(tables.code, 78);
  assert.match(tables.out, /DATABASE_URL: .*received nothing\. Set it, or start the local stack/);
});
