import assert from "node:assert/strict";
import { test } from "node:test";
import { findings, type Finding, type Machine } from "../../src/stack/doctor.ts";
import type { Env } from "../../src/stack/service-names.ts";
import type { StackFile } from "../../src/stack/stack-file.ts";

const soundMachine: Machine = {
  nodeVersion: "v24.21.0",
  javaMajor: () => Promise.resolve(17),
  hasProgram: () => true,
  isFetched: () => false,
  postgresFolder: () => Promise.resolve("/usr/bin"),
  canListen: () => Promise.resolve(true),
  isRunning: () => true,
  answers: () => Promise.resolve(true),
};
const down: StackFile = { version: 1, env: {}, services: {}, durable: true, docker: false };
const redisUp: StackFile = {
  ...down,
  env: { REDIS_URL: "redis://127.0.0.1:7" },
  services: { redis: { home: "/h", ports: [7], process: { pid: 42, startedAt: "x" } } },
};
const programs =
  (...names: string[]) =>
  (name: string): boolean =>
    names.includes(name);

async function troubles(
  machine: Partial<Machine>,
  file: StackFile = down,
  env: Env = {},
): Promise<readonly Finding[]> {
  const all = await findings({ env, file, machine: { ...soundMachine, ...machine } });
  return all.filter(({ verdict }) => verdict !== "fine");
}

test("a sound machine has no trouble, before `up` and after", async () => {
  assert.deepEqual(await troubles({}), []);
  assert.deepEqual(await troubles({}, redisUp), []);
});

test("an old Node is named, a new one is not", async () => {
  for (const nodeVersion of ["v20.20.0", "v22.17.9"]) {
    assert.equal((await troubles({ nodeVersion }))[0]?.check, "Node.js", nodeVersion);
  }
  assert.deepEqual(await troubles({ nodeVersion: "v22.18.0" }), []);
});

test("missing Java and Maven come with the command of this system", async () => {
  const bare = { javaMajor: () => Promise.resolve(null) };
  const fixes = async (...names: string[]): Promise<unknown> =>
    (await troubles({ ...bare, hasProgram: programs("redis-server", ...names) })).map((f) => f.fix);
  assert.deepEqual(await fixes("apt-get"), [
    "apt-get install -y openjdk-17-jre-headless",
    "apt-get install -y maven",
  ]);
  assert.deepEqual(await fixes("brew"), ["brew install openjdk@17", "brew install maven"]);
  assert.match(String(await fixes()), /package manager/);
});

test("a Java that is too old is named", async () => {
  const [finding] = await troubles({ javaMajor: () => Promise.resolve(11) });
  assert.equal(finding?.check, "Java");
  assert.match(finding.detail, /11, needed 17/);
});

test("Maven is not missed once everything is fetched", async () => {
  const hasProgram = programs("apt-get");
  assert.deepEqual(await troubles({ hasProgram, isFetched: () => true }), []);
  const checks = (await troubles({ hasProgram })).map(({ check }) => check);
  assert.deepEqual(checks, ["Maven", "Redis"]);
});

test("missing Postgres programs and closed ports are named", async () => {
  const found = await troubles({
    postgresFolder: () => Promise.resolve(null),
    canListen: () => Promise.resolve(false),
  });
  assert.deepEqual(
    found.map(({ check }) => check),
    ["Postgres", "loopback ports"],
  );
  assert.equal(found[0]?.fix, "apt-get install -y postgresql");
});

test("nothing is missed for servers that the environment names", async () => {
  const env = { KAFKA_BROKERS: "a:1", SCHEMA_REGISTRY_URL: "http://b", REDIS_URL: "redis://c" };
  const machine = { javaMajor: () => Promise.resolve(null), hasProgram: () => false };
  assert.deepEqual(await troubles(machine, down, env), []);
});

test("a process that is gone is unreachable, and `up` mends it", async () => {
  const [finding, ...others] = await troubles({ isRunning: () => false }, redisUp);
  assert.deepEqual(others, []);
  assert.equal(finding?.verdict, "unreachable");
  assert.match(finding.detail, /pid 42/);
  assert.equal(finding.fix, "npx millrace up");
});

test("an address of the environment that does not answer names its variable and no password", async () => {
  const env = { DATABASE_URL: "postgres://me:secret@db:5432/x" };
  const [finding] = await troubles({ answers: () => Promise.resolve(false) }, down, env);
  assert.equal(finding?.verdict, "unreachable");
  assert.match(String(finding.fix), /DATABASE_URL/);
  assert.doesNotMatch(JSON.stringify(finding), /secret/);
});

test("credentials of the environment are not shown to servers of ours", async () => {
  const seen: Env[] = [];
  const answers: Machine["answers"] = (_service, _address, env) => {
    seen.push(env);
    return Promise.resolve(true);
  };
  await troubles({ answers }, redisUp, { KAFKA_BROKERS: "a:1", KAFKA_SASL_PASSWORD: "s" });
  assert.deepEqual(
    seen.map((env) => env["KAFKA_SASL_PASSWORD"]),
    ["s", undefined],
  );
});
