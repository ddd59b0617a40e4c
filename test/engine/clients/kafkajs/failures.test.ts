import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import {
  DependencyError,
  FencedError,
  InvariantError,
} from "../../../../src/engine/core/errors.ts";
import {
  BrokerRefusal,
  nameOfCode,
  translate,
  UnknownOutcome,
} from "../../../../src/engine/clients/kafkajs/failures.ts";
import type { Work } from "../../../../src/engine/clients/kafkajs/rights.ts";
import { loadDriver } from "../../../../src/engine/clients/kafkajs/overrides/driver.ts";

loadDriver();
const require = createRequire(import.meta.url);
type Make = new (...args: unknown[]) => Error;
const kafkajs = require("kafkajs/src/errors") as Record<string, Make>;
const { createErrorFromCode, errorCodes } = require("kafkajs/src/protocol/error") as {
  createErrorFromCode(code: number): Error;
  errorCodes: readonly { type: string; code: number; retriable: boolean }[];
};

const expectations: readonly [code: number, millrace: string, disposition: string][] = [
  [6, "MILL_KAFKA_UNAVAILABLE", "retry"],
  [14, "MILL_KAFKA_UNAVAILABLE", "retry"],
  [16, "MILL_KAFKA_UNAVAILABLE", "retry"],
  [51, "MILL_KAFKA_UNAVAILABLE", "retry"],
  [88, "MILL_KAFKA_UNAVAILABLE", "retry"],
  [22, "MILL_KAFKA_FENCED", "fence"],
  [25, "MILL_KAFKA_FENCED", "fence"],
  [47, "MILL_KAFKA_FENCED", "fence"],
  [82, "MILL_KAFKA_FENCED", "fence"],
  [90, "MILL_KAFKA_FENCED", "fence"],
  [29, "MILL_KAFKA_AUTH", "pause"],
  [58, "MILL_KAFKA_AUTH", "pause"],
  [10, "MILL_RECORD_TOO_LARGE", "dead-letter"],
  [45, "MILL_KAFKA_REFUSED", "retry"],
  [59, "MILL_KAFKA_REFUSED", "retry"],
  [18, "MILL_RECORD_TOO_LARGE", "dead-letter"],
  [32, "MILL_OUTPUT_REFUSED", "dead-letter"],
  [44, "MILL_OUTPUT_REFUSED", "dead-letter"],
  [87, "MILL_OUTPUT_REFUSED", "dead-letter"],
  [53, "MILL_KAFKA_AUTH", "pause"],
  [89, "MILL_KAFKA_UNAVAILABLE", "retry"],
  [40, "MILL_KAFKA_REFUSED", "halt"],
  [17, "MILL_KAFKA_REFUSED", "halt"],
];

test("a broker's error means the same whether kafkajs or we read it", () => {
  for (const [code, millrace, disposition] of expectations)
    for (const error of [new BrokerRefusal(code), createErrorFromCode(code)]) {
      const translated = translate(error, "test");
      assert.deepEqual(
        [translated.code, translated.disposition],
        [millrace, disposition],
        `${nameOfCode(code)} as ${error.name}`,
      );
    }
});

test("what was fenced is a FencedError, what is away a DependencyError", () => {
  assert.ok(translate(new BrokerRefusal(90), "test") instanceof FencedError);
  assert.ok(translate(new BrokerRefusal(6), "test") instanceof DependencyError);
});

test("broken connections and time-outs are transient, also inside kafkajs' retries", () => {
  for (const name of [
    "KafkaJSConnectionError",
    "KafkaJSConnectionClosedError",
    "KafkaJSRequestTimeoutError",
    "KafkaJSBrokerNotFound",
    "KafkaJSLockTimeout",
  ]) {
    const error = new (kafkajs[name] as Make)("gone", {});
    const wrapped = new (kafkajs["KafkaJSNumberOfRetriesExceeded"] as Make)(error, {});
    for (const thrown of [error, wrapped])
      assert.equal(translate(thrown, "test").code, "MILL_KAFKA_UNAVAILABLE", name);
  }
});

test("a refused login and a bad certificate are not transient", () => {
  const login = new (kafkajs["KafkaJSSASLAuthenticationError"] as Make)("SASL failed");
  const certificate = new (kafkajs["KafkaJSConnectionError"] as Make)("Connection error", {
    code: "DEPTH_ZERO_SELF_SIGNED_CERT",
  });
  for (const error of [login, certificate])
    assert.equal(translate(error, "test").code, "MILL_KAFKA_AUTH");
});

test("an unknown outcome is retried by a new client, never called fenced or refused", () => {
  const translated = translate(new UnknownOutcome(new Error("closed")), "commit");
  assert.equal(translated.disposition, "retry");
});

test("an error of ours passes as it is", () => {
  const ours = new InvariantError("MILL_ENGINE_INVARIANT", "x");
  assert.equal(translate(ours, "test"), ours);
});

/** The errors of org.apache.kafka.common.protocol.Errors, Kafka 4.4: a code and its name a line. */
const ofKafka = readFileSync(new URL("error-codes-of-kafka-4.4.txt", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => line.split(" ") as [string, string]);

test("every code of Kafka 4.4 has its name, whoever reads it, and no number reaches a message", () => {
  assert.equal(ofKafka.length, 138);
  for (const [text, name] of ofKafka) {
    const code = Number(text);
    assert.equal(nameOfCode(code), name);
    if (code === 0) continue;
    for (const error of [new BrokerRefusal(code), createErrorFromCode(code)]) {
      const { message } = translate(error, "send to t-0");
      assert.ok(message.includes(name), message);
      assert.doesNotMatch(message, /KafkaJS|error -?\d+/);
    }
  }
  assert.ok(errorCodes.some((entry) => entry.code === 90 && !entry.retriable));
  assert.ok(errorCodes.some((entry) => entry.code === 89 && entry.retriable));
});

test("a code of a newer Kafka is told as one, whoever reads it", () => {
  for (const error of [new BrokerRefusal(9_999), createErrorFromCode(9_999)])
    assert.match(translate(error, "x").message, /does not know \(code 9999\)/);
});

test("a right that is missing is named, with what lacks it and where its grant is printed", () => {
  const refusal = new BrokerRefusal(29, { topic: "orders", partition: 3 });
  const { message, where } = translate(refusal, { what: "send to orders-3", right: "Write" });
  assert.match(
    message,
    /send to orders-3: TOPIC_AUTHORIZATION_FAILED \(the topic orders needs the right Write; for the grants: npx millrace acls\)/,
  );
  assert.equal(where.topic, "orders");
  const group = "shop.main";
  const cases: readonly [number, Work, string][] = [
    [
      29,
      { what: "create topic t", topic: "t", right: "Create" },
      "the topic t needs the right Create",
    ],
    [
      29,
      { what: "watermarks of t", topic: "t", right: "Describe" },
      "the topic t needs the right Describe",
    ],
    [30, { what: "join group", group }, "the group shop.main needs the right Read"],
    [30, { what: "lag", group, right: "Describe" }, "the group shop.main needs the right Describe"],
    [
      53,
      { what: "init", transactionalId: "m-1" },
      "the transactional id m-1 needs the right Write",
    ],
    [
      31,
      { what: "init" },
      "a topic that is written needs the right Write, or the cluster IdempotentWrite",
    ],
  ];
  for (const [code, work, words] of cases)
    for (const error of [new BrokerRefusal(code), createErrorFromCode(code)])
      assert.ok(translate(error, work).message.includes(`(${words}; `), work.what);
});
