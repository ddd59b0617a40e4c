// What each answer of Redis means, told by a stub that answers as servers of any version do.
import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { redisCopies } from "../../../../src/engine/clients/redis/copies.ts";
import { MillraceError } from "../../../../src/engine/core/errors.ts";
import type { StateCopies } from "../../../../src/engine/core/state.ts";
import { eventually } from "../../../support/eventually.ts";

const random = { next: () => 0.5, token: (length: number) => "t".repeat(length) };
const sound = {
  redis_version: "7.4.1",
  maxmemory_policy: "noeviction",
  role: "master",
  cluster_enabled: "0",
};

/** Answers INFO with these facts, and everything else with this line. */
async function stub(
  t: TestContext,
  answer: string,
  facts: Readonly<Record<string, string>> = sound,
): Promise<{ copies: StateCopies; connections(): number }> {
  let connections = 0;
  const info = Object.entries(facts).map(([name, value]) => `${name}:${value}\r\n`);
  const text = `# Server\r\n${info.join("")}`;
  const server = createServer((socket) => {
    connections++;
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      const isInfo = bytes.toString("latin1").toLowerCase().includes("\r\ninfo\r\n");
      socket.write(isInfo ? `$${String(text.length)}\r\n${text}\r\n` : `${answer}\r\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const copies = redisCopies({ url: `redis://127.0.0.1:${String(port)}`, random });
  t.after(async () => {
    await copies.close();
    server.close();
  });
  return { copies, connections: () => connections };
}

const inScript = "-ERR Error running script (call to f_0123): @user_script:3: @user_script: 3: -";
const answers: readonly (readonly [answer: string, code: string, disposition: string])[] = [
  ["-LOADING Redis is loading the dataset in memory", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-BUSY Redis is busy running a script.", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-CLUSTERDOWN The cluster is down", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-MASTERDOWN Link with MASTER is down", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-READONLY You can't write against a replica.", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-MISCONF Redis is configured to save RDB snapshots", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-NOREPLICAS Not enough good replicas to write.", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-ERR max number of clients reached", "MILL_REDIS_UNAVAILABLE", "retry"],
  ["-OOM command not allowed when used memory > 'maxmemory'.", "MILL_REDIS_MEMORY", "retry"],
  [`${inScript}OOM command not allowed when used`, "MILL_REDIS_MEMORY", "retry"],
  [`${inScript}READONLY You can't write against`, "MILL_REDIS_UNAVAILABLE", "retry"],
  [`${inScript}WRONGTYPE Operation against a key`, "MILL_STATE_TYPE", "halt"],
  ["-WRONGTYPE Operation against a key", "MILL_STATE_TYPE", "halt"],
  ["-NOAUTH Authentication required.", "MILL_REDIS_AUTH", "halt"],
  ["-WRONGPASS invalid username-password pair", "MILL_REDIS_AUTH", "halt"],
  ["-NOPERM this user has no permissions", "MILL_REDIS_AUTH", "halt"],
  [
    `${inScript}The user executing the script can't run this command or subcommand`,
    "MILL_REDIS_AUTH",
    "halt",
  ],
  ["-ERR ACL failure in script: User shop has no permissions", "MILL_REDIS_AUTH", "halt"],
  ["-MOVED 3999 127.0.0.1:6381", "MILL_REDIS_CLUSTER", "halt"],
  ["-ERR unknown command 'HMGET', with args beginning with: 'a-key'", "MILL_REDIS_REFUSED", "halt"],
];

for (const [answer, code, disposition] of answers)
  test(`${answer.slice(1, 12)}… (${String(answer.length)}) is ${code}`, async (t) => {
    const { copies } = await stub(t, answer);
    const copy = copies.copy({ prefix: "shop", store: "totals", partition: 3 });
    const way = answer.startsWith(inScript)
      ? () => copy.apply({ expected: 0n, target: { nextOffset: 1n, timeMs: 0 }, changes: [] })
      : () => copy.read([Buffer.from("a-key")]);
    await assert.rejects(way(), (error) => {
      assert.ok(error instanceof MillraceError, String(error));
      assert.deepEqual([error.code, error.disposition], [code, disposition]);
      assert.ok(error.message.includes("{shop:totals:3} at 127.0.0.1:"), error.message);
      assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /a-key/);
      return true;
    });
  });

const grants = "for the grants: npx millrace acls";
for (const [answer, words] of [
  [
    "-NOPERM this user has no permissions to run the 'hmget' command or its subcommand",
    "the command hmget",
  ],
  ["-NOPERM User shop has no permissions to run the 'hmget' command", "the command hmget"],
  ["-NOPERM this user has no permissions to access one of the keys used as arguments", "that key"],
  ["-NOPERM No permissions to access a key", "that key"],
  [
    "-ERR ACL failure in script: User shop has no permissions to run the 'hset' command script: 1, on @user_script:3.",
    "the command hset",
  ],
  [
    `${inScript}The user executing the script can't run this command or subcommand`,
    "a command of its scripts",
  ],
  [
    `${inScript}The user executing the script can't access at least one of the keys mentioned in the command arguments`,
    "that key",
  ],
] as const)
  test(`a right that is missing is named: ${words} (${String(answer.length)})`, async (t) => {
    const { copies } = await stub(t, answer);
    const copy = copies.copy({ prefix: "shop", store: "totals", partition: 3 });
    await assert.rejects(copy.read([Buffer.from("a-key")]), (error) => {
      assert.ok(error instanceof MillraceError && error.code === "MILL_REDIS_AUTH");
      assert.ok(error.message.endsWith(`(the user needs ${words}; ${grants})`), error.message);
      assert.match(error.message, /\{shop:totals:3\} at 127\.0\.0\.1:/);
      return true;
    });
  });

test("a primary that has become a replica is left: its name may lead to the new one", async (t) => {
  const { copies, connections } = await stub(t, "-READONLY You can't write against a replica.");
  const copy = copies.copy({ prefix: "shop", store: "totals", partition: 3 });
  await assert.rejects(copy.remove(), { code: "MILL_REDIS_UNAVAILABLE" });
  assert.equal(connections(), 1);
  await eventually("a second connection", async () => {
    await assert.rejects(copy.remove(), { code: "MILL_REDIS_UNAVAILABLE" });
    return connections() > 1 || null;
  });
});

test("an answer that is none of Redis is no answer", async (t) => {
  const { copies } = await stub(t, "HTTP/1.1 400 Bad Request");
  const copy = copies.copy({ prefix: "shop", store: "totals", partition: 3 });
  await assert.rejects(copy.position(), { code: "MILL_REDIS_UNAVAILABLE" });
});

test("every reason against a Redis is told at once", async (t) => {
  const facts = {
    redis_version: "6.0.16",
    maxmemory_policy: "allkeys-lru",
    role: "slave",
    cluster_enabled: "1",
  };
  const problems = await (await stub(t, "+OK", facts)).copies.problems();
  assert.deepEqual(
    problems.map(({ code }) => code),
    ["MILL_REDIS_VERSION", "MILL_REDIS_EVICTS", "MILL_REDIS_REPLICA", "MILL_REDIS_CLUSTER"],
  );
  for (const { disposition, message } of problems) {
    assert.equal(disposition, "halt");
    assert.match(message, /127\.0\.0\.1/);
  }
});

test("versions are compared as numbers", async (t) => {
  for (const [version, isFit] of [
    ["6.2.0", true],
    ["6.10.0", true],
    ["7.0.15", true],
    ["10.0.0", true],
    ["6.1.9", false],
    ["5.9.9", false],
  ] as const) {
    const problems = await (
      await stub(t, "+OK", { ...sound, redis_version: version })
    ).copies.problems();
    assert.equal(problems.length === 0, isFit, version);
  }
});

test("what INFO does not say is not taken for granted", async (t) => {
  const problems = await (await stub(t, "+OK", { role: "master" })).copies.problems();
  assert.equal(problems.length, 3);
});

test("an address that cannot be meant is refused without repeating its password", () => {
  for (const url of [
    "http://user:top-secret@host:6379",
    "redis://user:top-secret@host:6379/db",
    "redis://user:top-secret@host:6379/0?tls=true",
    "redis://user:top-secret@host:99999999",
    "user:top-secret@host",
    "redis:///0",
  ])
    assert.throws(
      () => redisCopies({ url, random }),
      (error) => {
        assert.ok(error instanceof MillraceError);
        assert.equal(error.code, "MILL_CONFIG_INVALID");
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /top-secret/);
        return true;
      },
      url,
    );
});

test("a Redis that is not there is away, and one that was closed is not used", async () => {
  const copies = redisCopies({ url: "redis://127.0.0.1:1", random });
  const copy = copies.copy({ prefix: "shop", store: "totals", partition: 3 });
  const attempts = Array.from({ length: 20 }, () => copy.position());
  for (const outcome of await Promise.allSettled(attempts)) {
    assert.equal(outcome.status, "rejected");
    assert.equal((outcome.reason as MillraceError).code, "MILL_REDIS_UNAVAILABLE");
  }
  await copies.close();
  await copies.close();
  await assert.rejects(copy.position(), { code: "MILL_ENGINE_INVARIANT" });
});
