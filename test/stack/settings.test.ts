import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { KAFKA_STREAMS_VERSION } from "../../bench/kafka-streams.ts";
import { versionOf } from "../../src/stack/download.ts";
import { javaMajor } from "../../src/stack/java.ts";
import { serverProperties } from "../../src/stack/kafka.ts";
import { isReady } from "../../src/stack/kafka-probe.ts";
import { postgresSettings } from "../../src/stack/postgres.ts";
import { binaryFor, redisConfig } from "../../src/stack/redis.ts";
import { registrySettings } from "../../src/stack/registry.ts";
import { childEnv } from "../../src/stack/service-names.ts";

test("Kafka listens on the loopback only, creates no topic by itself and lets groups start at once", () => {
  const lines = serverProperties({ home: "/h/kafka", ports: [1001, 1002] })
    .trim()
    .split("\n");
  for (const line of [
    "listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002",
    "advertised.listeners=PLAINTEXT://127.0.0.1:1001",
    "controller.quorum.voters=1@127.0.0.1:1002",
    "log.dirs=/h/kafka/data",
    "auto.create.topics.enable=false",
    "offsets.topic.replication.factor=1",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    "group.min.session.timeout.ms=1000",
    "broker.session.timeout.ms=3000",
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test("Redis keeps an append-only file and evicts nothing", () => {
  const lines = redisConfig({ home: "/with space", ports: [7], password: null }).split("\n");
  for (const line of [
    "bind 127.0.0.1",
    "port 7",
    'dir "/with space"',
    "appendonly yes",
    "appendfsync everysec",
    "maxmemory-policy noeviction",
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test("Redis has one user, whose password the file does not hold, without the commands that let others in", () => {
  const lines = redisConfig({ home: "/h", ports: [7], password: "secret" }).split("\n");
  const [user = "", ...others] = lines.filter((line) => line.startsWith("user "));
  assert.deepEqual(others, []);
  assert.match(
    user,
    /^user default on #[0-9a-f]{64} ~\* &\* \+@all -config -module -debug -acl -replicaof -slaveof$/,
  );
  assert.ok(!lines.join("\n").includes("secret"));
});

test("the registry keeps schema ids in a file, written at each commit", () => {
  const env = registrySettings({ home: "/h", ports: [8] });
  assert.equal(env["REGISTRY_DATASOURCE_URL"], "jdbc:h2:file:/h/registry;WRITE_DELAY=0");
  assert.equal(env["QUARKUS_HTTP_HOST"], "127.0.0.1");
  assert.equal(env["QUARKUS_HTTP_PORT"], "8");
});

test("Postgres flushes to disk unless a test says otherwise", () => {
  assert.equal(postgresSettings({ ports: [5], durable: true })["fsync"], undefined);
  assert.equal(postgresSettings({ ports: [5], durable: false })["fsync"], "off");
  assert.equal(postgresSettings({ ports: [5], durable: true })["listen_addresses"], "127.0.0.1");
});

test("servers inherit none of the user's settings and secrets", () => {
  const env = childEnv({ PATH: "/bin", KAFKA_SASL_PASSWORD: "s", DATABASE_URL: "s" }, { A: "1" });
  assert.deepEqual(
    Object.entries(env).filter(([, value]) => value !== undefined),
    [
      ["PATH", "/bin"],
      ["A", "1"],
    ],
  );
});

test("the benchmark's peer has the Kafka of the local stack, the containers one of its major version", () => {
  const version = versionOf("kafka");
  const text = (path: string): string =>
    readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const [major = ""] = version.split(".");
  // The newest one whose digest is public.
  assert.match(
    text("docker-compose.yml"),
    new RegExp(`image: apache/kafka:${major}\\.\\d+\\.\\d+@`),
  );
  const peer = text("bench/peers/kafka-streams/pom.xml");
  assert.match(peer, new RegExp(`kafka-streams</artifactId>\\s*<version>${version}<`));
  assert.equal(KAFKA_STREAMS_VERSION, version);
});

test("every download has one pinned version", () => {
  assert.equal(versionOf("kafka"), "4.4.0");
  assert.equal(versionOf("registry"), "2.6.13.Final");
  assert.equal(versionOf("redis"), "1.4.3");
});

test("Java's version is read in its old and its new way of writing", () => {
  assert.equal(javaMajor('openjdk version "17.0.15" 2025-04-15'), 17);
  assert.equal(javaMajor('java version "1.8.0_392"'), 8);
  assert.equal(javaMajor('openjdk version "21" 2023-09-19'), 21);
  assert.equal(javaMajor("no java here"), 0);
});

test("the Redis of this system and machine is chosen, or none", () => {
  const names = ["redis-server-6.2.6-v5-linux-amd64", "redis-server-6.2.7-linux-arm64"];
  assert.equal(binaryFor(names, "linux", "x64"), names[0]);
  assert.equal(binaryFor(names, "linux", "arm64"), names[1]);
  assert.equal(binaryFor(names, "win32", "x64"), undefined);
});

/** A Metadata answer, version 1: brokers and controller. */
function metadata(brokers: number, controller: number): Buffer {
  const host = Buffer.from("host");
  const parts: Buffer[] = [int32(0), int32(1), int32(brokers)];
  for (let id = 0; id < brokers; id++)
    parts.push(int32(id), int16(4), host, int32(9092), int16(-1));
  return Buffer.concat([...parts, int32(controller), int32(0)]);
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};

test("a broker is ready when it names brokers and a controller", () => {
  assert.equal(isReady(metadata(1, 0)), true);
  assert.equal(isReady(metadata(3, 2)), true);
  assert.equal(isReady(metadata(1, -1)), false);
  assert.equal(isReady(metadata(0, 1)), false);
});
