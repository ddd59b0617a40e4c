// Settings that would end in a stack, or in a connection without login, are sentences before anything is connected.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { days, json, pipeline, string, topic } from "#engine";
import { ConfigError, ConfigErrors } from "../../../src/engine/core/errors.ts";
import { connect } from "../../../src/engine/runtime/host/connect.ts";
import { serversMissing } from "../../../src/engine/runtime/host/servers.ts";
import { readSettings, type Env } from "../../../src/engine/runtime/host/settings.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { customerOrders } from "../../../src/pipelines/customer-orders.ts";

const sound = {
  KAFKA_BROKERS: "127.0.0.1:9092",
  SCHEMA_REGISTRY_URL: "http://127.0.0.1:8081/apis/ccompat/v7",
  REDIS_URL: "redis://127.0.0.1:6379",
  DATABASE_URL: "postgres://u:p@127.0.0.1:5432/d",
};

/** What is said of these settings, with all others sound; made into clients too, which connect to nothing yet. */
async function said(env: Env): Promise<string> {
  try {
    const settings = readSettings({ ...sound, ...env });
    const clients = connect(settings, { log: new RecordingLog(), deadlineMs: 1_000 });
    clients.stateCopies("redis");
    await clients.close();
    return "";
  } catch (error) {
    if (error instanceof ConfigErrors)
      return error.problems.map(({ code, message }) => `${code} ${message}`).join("\n");
    assert.ok(error instanceof ConfigError, String(error));
    return `${error.code} ${error.message}`;
  }
}

const SECRET = "s3cr3t";
const urls = {
  REDIS_URL: "redis",
  DATABASE_URL: "postgres",
  SCHEMA_REGISTRY_URL: "http",
} as const;

test("a bare % in any part of any address is named, and never the address", async () => {
  for (const [name, protocol] of Object.entries(urls))
    for (const rest of [
      `u:${SECRET}%@host:1234`,
      `:${SECRET}100%@host:1234/0`,
      `u%zz:${SECRET}@host:1234`,
      `u:${SECRET}@host:1234/%4`,
      `u:${SECRET}@ho%st:1234`,
      `u:${SECRET}%C3@host:1234`,
    ]) {
      const words = await said({ [name]: `${protocol}://${rest}` });
      assert.match(words, new RegExp(`^MILL_CONFIG_INVALID .*${name}: expected ${protocol}`), rest);
      assert.match(words, /percent sign/, rest);
      assert.doesNotMatch(words, new RegExp(SECRET), rest);
    }
});

test("percent signs that are written as %25 are fine", async () => {
  for (const [name, protocol] of Object.entries(urls))
    assert.equal(await said({ [name]: `${protocol}://u:100%25@host:1234` }), "", name);
});

test("other addresses that no client can use are named", async () => {
  const cases: [Env, RegExp][] = [
    [{ REDIS_URL: "127.0.0.1:6379" }, /REDIS_URL: expected redis:/],
    [{ REDIS_URL: "redis://host:99999" }, /REDIS_URL: expected redis:/],
    [{ REDIS_URL: "redis://host:6379/0?x=1" }, /REDIS_URL: expected redis:/],
    [{ DATABASE_URL: "mysql://u:p@h/d" }, /DATABASE_URL: expected postgres:/],
    [{ DATABASE_URL: "postgres://h/d?sslmode=on" }, /DATABASE_URL: sslmode is none of those/],
    [
      { DATABASE_URL: "postgres://h/d?sslmode=verify-full&sslrootcert=/none.pem" },
      /DATABASE_URL: the driver cannot use it \(ENOENT\)/,
    ],
    [{ SCHEMA_REGISTRY_URL: "host:8081" }, /SCHEMA_REGISTRY_URL: expected http:/],
    [{ KAFKA_BROKERS: "host:0" }, /KAFKA_BROKERS: expected host:port/],
    [{ KAFKA_BROKERS: "a:9092,b:70000" }, /KAFKA_BROKERS: expected host:port/],
  ];
  for (const [env, words] of cases) assert.match(await said(env), words);
});

const LOGIN = {
  KAFKA_SASL_MECHANISM: "PLAIN",
  KAFKA_SASL_USERNAME: "u",
  KAFKA_SASL_PASSWORD: SECRET,
};
const pem = (type: "spki" | "pkcs8"): string => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return String(
    type === "spki"
      ? publicKey.export({ type, format: "pem" })
      : privateKey.export({ type, format: "pem" }),
  );
};

test("a login that the protocol does not use, and one that it lacks, are named", async () => {
  for (const protocol of [undefined, "PLAINTEXT", "SSL"]) {
    const env = protocol === undefined ? LOGIN : { ...LOGIN, KAFKA_SECURITY_PROTOCOL: protocol };
    const words = await said(env);
    assert.match(
      words,
      /KAFKA_SECURITY_PROTOCOL: KAFKA_SASL_MECHANISM.*does not log in\. Set it to/,
    );
    assert.doesNotMatch(words, new RegExp(SECRET));
  }
  for (const protocol of ["SASL_PLAINTEXT", "SASL_SSL"]) {
    const all = { ...LOGIN, KAFKA_SECURITY_PROTOCOL: protocol };
    assert.equal(await said(all), "");
    for (const name of Object.keys(LOGIN))
      assert.match(
        await said({ ...all, [name]: undefined }),
        new RegExp(`${name}: ${protocol} needs it, received nothing`),
      );
  }
  for (const name of Object.keys(LOGIN))
    assert.match(await said({ [name]: LOGIN[name as "KAFKA_SASL_USERNAME"] }), /does not log in/);
});

test("half a pair of certificate and key, and texts that are none, are named", async () => {
  const ssl = { KAFKA_SECURITY_PROTOCOL: "SSL" };
  const cases: [Env, RegExp][] = [
    [{ ...ssl, KAFKA_SSL_KEY: pem("pkcs8") }, /KAFKA_SSL_CERT: KAFKA_SSL_KEY needs it/],
    [{ ...ssl, KAFKA_SSL_CERT: pem("spki") }, /KAFKA_SSL_KEY: KAFKA_SSL_CERT needs it/],
    [{ ...ssl, KAFKA_SSL_CA: "/etc/ca.pem" }, /KAFKA_SSL_CA: expected the text of a PEM file/],
    [
      { ...ssl, KAFKA_SSL_CERT: pem("spki"), KAFKA_SSL_KEY: pem("pkcs8") },
      /KAFKA_SSL_CERT, KAFKA_SSL_KEY: TLS cannot use them/,
    ],
    [{ KAFKA_SSL_CA: pem("spki") }, /KAFKA_SSL_CA set, but PLAINTEXT does not encrypt/],
    [
      { SCHEMA_REGISTRY_USERNAME: "u" },
      /SCHEMA_REGISTRY_PASSWORD: SCHEMA_REGISTRY_USERNAME needs it/,
    ],
    [{ SCHEMA_REGISTRY_PASSWORD: SECRET }, /SCHEMA_REGISTRY_USERNAME: SCHEMA_REGISTRY_PASSWORD ne/],
  ];
  for (const [env, words] of cases) assert.match(await said(env), words);
});

const declared = { key: string, value: json<{ n: number }>(), partitions: 1, owner: "tests" };
const from = topic("needs.in", declared);
const plain = pipeline("plain", (p) => {
  p.from(from).to(topic("needs.out", declared));
});
const stateful = pipeline("stateful", (p) => {
  p.from(from)
    .distinct("once", { by: ({ n }) => [n], within: days(1) })
    .to(topic("needs.once", declared));
});

test("a server is asked for by the pipelines that use it, and by no other one", async () => {
  const { KAFKA_BROKERS } = sound;
  const settings = readSettings({ KAFKA_BROKERS });
  const missing = (of: { plan(namespace: string): never } | typeof plain): string[] =>
    serversMissing(settings, [of.plan("")]).map(({ message }) => message);
  assert.deepEqual(missing(plain), []);
  assert.match(missing(stateful).join(), /REDIS_URL: stateful keeps its state in Redis.*npx mill/);
  const all = missing(customerOrders);
  assert.match(all.join("\n"), /SCHEMA_REGISTRY_URL: customer-orders has topics with Avro/);
  assert.match(all.join("\n"), /DATABASE_URL: customer-orders writes tables/);

  const clients = connect(settings, { log: new RecordingLog(), deadlineMs: 1_000 });
  const refused = { code: "MILL_CONFIG_INVALID" };
  await assert.rejects(clients.pool.query("SELECT 1"), refused);
  await assert.rejects(clients.registry.schemaById(1), refused);
  assert.throws(() => clients.stateCopies("redis"), refused);
  await clients.close();
});
