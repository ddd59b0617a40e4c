// The local stack for real: each server asked by a real client, stopped and killed with its data kept, and nothing left over.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { Kafka, logLevel } from "kafkajs";
import pg from "pg";
import type { Finding } from "../../src/stack/doctor.ts";
import type { ServiceStatus } from "../../src/stack/status.ts";
import { doctor } from "../../src/cli/doctor.ts";
import { down } from "../../src/cli/down.ts";
import { main } from "../../src/cli/main.ts";
import { status } from "../../src/cli/status.ts";
import { up } from "../../src/cli/up.ts";
import { isRunning } from "../../src/stack/process.ts";
import { readStackEnv, readStackFile } from "../../src/stack/stack-file.ts";
import {
  startService,
  startStack,
  stopService,
  stopStack,
  type Stack,
} from "../../src/stack/stack.ts";
import { keep, serverEnv } from "../support/stack.ts";

const cwd = mkdtempSync(join(tmpdir(), "millrace-test-"));
const dir = join(cwd, ".millrace");
const env = serverEnv();
const say = (): void => undefined;

describe("the local stack", () => {
  let stack: Stack;
  before(async () => {
    keep(dir);
    stack = await startStack({ dir, env, say });
  });
  after(async () => {
    await stopStack(dir, say, { purge: true });
    rmSync(cwd, { recursive: true, force: true });
  });

  test("every command finds its addresses", () => {
    const found = readStackEnv(dir, { REDIS_URL: "redis://theirs" });
    assert.equal(found["KAFKA_BROKERS"], stack.kafka.brokers[0]);
    assert.equal(found["SCHEMA_REGISTRY_URL"], stack.registry.url);
    assert.equal(found["DATABASE_URL"], stack.postgres.url);
    assert.equal(found["REDIS_URL"], "redis://theirs");
  });

  test("Kafka keeps what a transaction wrote, through a kill and through an orderly stop", async () => {
    await writeInTransaction(stack, "kept", "first");
    await stopService(dir, "kafka", { signal: "SIGKILL" });
    await startService(dir, "kafka", env);
    await writeInTransaction(stack, "kept", "second");
    await stopService(dir, "kafka");
    await startService(dir, "kafka", env);
    assert.deepEqual(await readAll(stack, "kept", 2), ["first", "second"]);
  });

  test("Kafka creates no topic by itself, also for a producer that asks for one", async () => {
    const kafka = kafkaOf(stack);
    const producer = kafka.producer({ allowAutoTopicCreation: true, retry: { retries: 2 } });
    await producer.connect();
    const sent = producer.send({ topic: "never-made", messages: [{ value: "x" }] });
    await assert.rejects(sent, /does not host this topic-partition/);
    await producer.disconnect();
    const admin = kafka.admin();
    await admin.connect();
    assert.ok(!(await admin.listTopics()).includes("never-made"));
    await admin.disconnect();
  });

  test("the registry keeps the id of a schema that was registered just before a kill", async () => {
    const id = await registerSchema(stack, "kept-value");
    await stopService(dir, "registry", { signal: "SIGKILL" });
    await startService(dir, "registry", env);
    // Asked before it is registered again, which would give an emptied registry the same id.
    const answer = await fetch(`${stack.registry.url}/schemas/ids/${String(id)}`);
    assert.equal(answer.status, 200);
    assert.equal(await registerSchema(stack, "kept-value"), id);
  });

  test("Redis keeps its values and evicts none", async () => {
    await withRedis(stack, (redis) => redis.set("kept", "1"));
    await stopService(dir, "redis");
    await startService(dir, "redis", env);
    await withRedis(stack, async (redis) => {
      assert.equal(await redis.get("kept"), "1");
      const facts = await redis.info();
      assert.match(facts, /^maxmemory_policy:noeviction\r$/m);
      assert.match(facts, /^aof_enabled:1\r$/m);
    });
  });

  test("nobody but its owner reads the stack's folder, or gets into Redis", async () => {
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.equal(statSync(join(dir, "redis", "password")).mode & 0o777, 0o600);
    const [, password = ""] = /:([^:@]+)@/.exec(stack.redis.url) ?? [];
    assert.ok(password.length >= 24);
    assert.doesNotMatch(
      readFileSync(join(dir, "redis", "redis.conf"), "utf8"),
      new RegExp(password),
    );
    const stranger = new Redis(stack.redis.url.replace(`:${password}@`, ""), {
      retryStrategy: () => null,
    });
    stranger.on("error", () => undefined);
    await assert.rejects(stranger.get("kept"), /NOAUTH/);
    stranger.disconnect();
  });

  test("Redis loads no code, writes no file of a client's choice and follows no other server", async () => {
    await withRedis(stack, async (redis) => {
      for (const words of [
        "CONFIG GET dir",
        "MODULE LIST",
        "DEBUG SLEEP 0",
        "ACL LIST",
        "REPLICAOF NO ONE",
      ]) {
        const [command = "", ...args] = words.split(" ");
        await assert.rejects(redis.call(command, ...args), /NOPERM|command not allowed/, words);
      }
    });
  });

  test("Postgres keeps its rows through a kill while a client is in mid-transaction", async () => {
    const client = new pg.Client(stack.postgres.url);
    let isCut = false;
    client.on("error", () => (isCut = true));
    await client.connect();
    await client.query("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)");
    await client.query("BEGIN");
    await client.query("INSERT INTO kept VALUES (2)");
    await stopService(dir, "postgres", { signal: "SIGKILL" });
    await startService(dir, "postgres", env);
    assert.equal(isCut, true);
    const again = new pg.Client(stack.postgres.url);
    await again.connect();
    assert.deepEqual((await again.query("SELECT id FROM kept")).rows, [{ id: 1 }]);
    await again.end();
  });

  test("Postgres lets nobody in without the password", async () => {
    const client = new pg.Client(stack.postgres.url.replace(/:[^:@]*@/, ":wrong@"));
    await assert.rejects(client.connect(), { code: "28P01" });
  });

  test("starting again changes nothing and says so", async () => {
    const before = readStackFile(dir);
    const said: string[] = [];
    await startStack({ dir, env, say: (line) => said.push(line) });
    assert.deepEqual(said, ["already up"]);
    assert.deepEqual(readStackFile(dir), before);
  });

  test("starting again brings back the one that died and leaves the others", async () => {
    const { pids } = await startStack({ dir, env, say });
    process.kill(pids.redis ?? 0, "SIGKILL");
    const after = await startStack({ dir, env, say });
    assert.notEqual(after.pids.redis, pids.redis);
    assert.deepEqual({ ...after.pids, redis: 0 }, { ...pids, redis: 0 });
    assert.deepEqual(after.env, stack.env);
  });

  test("status and doctor say what is down, and how to bring it back", async () => {
    assert.equal((await cli("status")).code, 0);
    assert.equal((await cli("doctor")).code, 0);
    await stopService(dir, "redis");
    const shown = await cli("status", "--json");
    assert.equal(shown.code, 69);
    const states = shown.lines.map((line) => JSON.parse(line) as ServiceStatus);
    assert.deepEqual(
      states.map(({ service, state, pid }) => [service, state, pid === null]),
      [
        ["kafka", "up", false],
        ["registry", "up", false],
        ["redis", "down", true],
        ["postgres", "up", false],
      ],
    );
    const checked = await cli("doctor", "--json");
    assert.equal(checked.code, 69);
    const found = checked.lines.map((line) => JSON.parse(line) as Finding);
    assert.equal(found.find(({ check }) => check === "redis")?.fix, "npx millrace up");
    assert.equal((await cli("up")).code, 0);
    assert.equal((await cli("status")).code, 0);
  });

  test("no command prints the password of the database", async () => {
    const { password } = new URL(stack.postgres.url);
    for (const command of [
      ["up"],
      ["up", "--json"],
      ["status"],
      ["status", "--json"],
      ["doctor"],
    ]) {
      const { lines, errors } = await cli(...command);
      assert.ok(![...lines, ...errors].join("\n").includes(password), command.join(" "));
    }
  });

  test("an address of the environment is used, and nothing is started for it", async () => {
    const other = join(cwd, "other");
    const theirs = await startStack({
      dir: other,
      env: { ...env, REDIS_URL: stack.redis.url },
      say,
      services: ["redis"],
    });
    assert.equal(theirs.redis.url, stack.redis.url);
    assert.deepEqual(theirs.pids, {});
    assert.deepEqual(readStackFile(other).services, {});
  });

  test("when one server fails to start, its log is quoted and the others are stopped again", async (t) => {
    const fake = join(cwd, "redis-server");
    writeFileSync(fake, "#!/bin/sh\necho no luck today\nexit 1\n");
    chmodSync(fake, 0o755);
    const failing = join(cwd, "failing");
    t.after(() => stopStack(failing, say, { purge: true }));
    const broken = { ...env, PATH: `${cwd}:${env["PATH"] ?? ""}` };
    const services = ["redis", "postgres"] as const;
    await assert.rejects(startStack({ dir: failing, env: broken, say, services }), {
      code: "MILL_STACK_FAILED",
      message: /redis ended.*logs\/redis\.log.*no luck today/s,
    });
    const records = readStackFile(failing).services;
    assert.ok(records.postgres);
    assert.equal(records.postgres.process, null);
    assert.deepEqual(processesNaming(records.postgres.home), []);
  });

  test("down stops all of ours and keeps the data, --purge removes it", async () => {
    const records = Object.values(readStackFile(dir).services);
    const homes = records.map(({ home }) => home);
    const processes = records.map((record) => record.process).filter((one) => one !== null);
    assert.equal(processes.filter(isRunning).length, 4);
    assert.equal((await cli("down")).code, 0);
    assert.equal(processes.filter(isRunning).length, 0);
    for (const home of [...homes, dir]) assert.deepEqual(processesNaming(home), []);
    assert.ok(homes.every((home) => existsSync(home)));
    assert.deepEqual(readStackEnv(dir, {}), {});
    await assert.rejects(fetch(`${stack.registry.url}/subjects`));
    assert.equal((await cli("status")).code, 69);
    assert.equal((await cli("down", "--purge")).code, 0);
    assert.deepEqual(
      homes.filter((home) => existsSync(home)),
      [],
    );
  });
});

interface Ran {
  readonly code: number;
  readonly lines: readonly string[];
  readonly errors: readonly string[];
}

async function cli(...words: string[]): Promise<Ran> {
  const lines: string[] = [];
  const errors: string[] = [];
  const io = {
    env,
    cwd,
    isTty: false,
    out: (line: string) => void lines.push(line),
    err: (line: string) => void errors.push(line),
  };
  const code = await main(words, io, [up, down, status, doctor]);
  return { code, lines, errors };
}

/** Command lines of running processes that speak of this path. */
function processesNaming(path: string): readonly string[] {
  const all = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n");
  return all.filter((line) => line.includes(path) && !line.includes("stack-keeper"));
}

const kafkaOf = ({ kafka }: Stack): Kafka =>
  new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });

async function writeInTransaction(stack: Stack, topic: string, value: string): Promise<void> {
  const kafka = kafkaOf(stack);
  const admin = kafka.admin();
  await admin.connect();
  const topics = await admin.listTopics();
  if (!topics.includes(topic)) await admin.createTopics({ topics: [{ topic }] });
  await admin.disconnect();
  const producer = kafka.producer({ transactionalId: "t", maxInFlightRequests: 1 });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: [{ value }] });
  await transaction.commit();
  await producer.disconnect();
}

async function readAll(stack: Stack, topic: string, count: number): Promise<readonly string[]> {
  const consumer = kafkaOf(stack).consumer({ groupId: "reader", sessionTimeout: 6_000 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const values: string[] = [];
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: ({ message }) => {
          values.push(String(message.value));
          if (values.length === count) resolve();
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return values;
}

async function registerSchema({ registry }: Stack, subject: string): Promise<number> {
  const answer = await fetch(`${registry.url}/subjects/${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema: '{"type":"record","name":"Kept","fields":[]}' }),
  });
  assert.equal(answer.status, 200);
  return ((await answer.json()) as { id: number }).id;
}

async function withRedis(stack: Stack, work: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(stack.redis.url);
  try {
    await work(redis);
  } finally {
    redis.disconnect();
  }
}
