// Settings of a process: what topics get that Millrace makes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import { BROKER_DEFAULTS } from "../../../src/engine/core/own-topics.ts";
import {
  planSettingsOf,
  readPlanSettings,
  readSettings,
  workerNameOf,
  topicDefaultsOf,
} from "../../../src/engine/runtime/host/settings.ts";

const env = {
  KAFKA_BROKERS: "localhost:9092",
  SCHEMA_REGISTRY_URL: "http://localhost:8081",
  DATABASE_URL: "postgres://localhost/db",
};
const defaultsOf = (more: Record<string, string>) =>
  topicDefaultsOf(readSettings({ ...env, ...more }));

test("topics get what the brokers say, unless the settings say otherwise", () => {
  assert.deepEqual(defaultsOf({}), BROKER_DEFAULTS);
  const both = { MILLRACE_TOPIC_REPLICATION: "3", MILLRACE_TOPIC_MIN_INSYNC: "2" };
  assert.deepEqual(defaultsOf(both), { replicationFactor: 3, minInsync: 2 });
  assert.deepEqual(defaultsOf({ MILLRACE_TOPIC_REPLICATION: "3" }), {
    ...BROKER_DEFAULTS,
    replicationFactor: 3,
  });
});

test("more replicas in sync than there are is refused, as is none", () => {
  const refusal = (more: Record<string, string>): string => {
    try {
      readSettings({ ...env, ...more });
    } catch (error) {
      if (error instanceof ConfigErrors) return error.problems.map((one) => one.message).join("; ");
    }
    return "";
  };
  const above = { MILLRACE_TOPIC_REPLICATION: "2", MILLRACE_TOPIC_MIN_INSYNC: "3" };
  assert.match(
    refusal(above),
    /MILLRACE_TOPIC_MIN_INSYNC: expected at most MILLRACE_TOPIC_REPLICATION, .*received "3"/,
  );
  assert.match(refusal({ MILLRACE_TOPIC_MIN_INSYNC: "2" }), /which must be set/);
  assert.match(refusal({ MILLRACE_TOPIC_REPLICATION: "0" }), /MILLRACE_TOPIC_REPLICATION/);
  assert.match(refusal({ MILLRACE_SINK_PURGE_AFTER_MS: "5" }), /MILLRACE_SINK_PURGE_AFTER_MS/);
});

test("the name that transactional ids and client ids begin with is namespace and prefix", () => {
  const under = (more: Record<string, string>) => workerNameOf(readSettings({ ...env, ...more }));
  assert.equal(under({}), "millrace");
  const said = { MILLRACE_NAMESPACE: "ns-", MILLRACE_WORKER_PREFIX: "shop.workers" };
  assert.equal(under(said), "ns-shop.workers");
  for (const wrong of ["-x", "Shop", "a b", "a".repeat(61)])
    assert.throws(() => under({ MILLRACE_WORKER_PREFIX: wrong }), ConfigErrors);
});

test("topics that declare no partitions get 4, or what the setting says", () => {
  const under = (more: Record<string, string>) => planSettingsOf(readSettings({ ...env, ...more }));
  assert.deepEqual(under({}), { namespace: "", topicPartitions: 4 });
  const said = { MILLRACE_NAMESPACE: "ns-", MILLRACE_TOPIC_PARTITIONS: "12" };
  assert.deepEqual(under(said), { namespace: "ns-", topicPartitions: 12 });
  assert.deepEqual(readPlanSettings(said), under(said));
  for (const wrong of ["0", "-1", "1.5", "many", "100001"])
    for (const read of [readPlanSettings, (more: Record<string, string>) => under(more)])
      assert.throws(
        () => read({ MILLRACE_TOPIC_PARTITIONS: wrong }),
        (error: unknown) =>
          error instanceof ConfigErrors &&
          error.problems.some(({ message }) => message.includes(`received "${wrong}"`)),
      );
});
