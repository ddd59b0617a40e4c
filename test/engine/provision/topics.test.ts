import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { AdminPort, TopicDescription, TopicSpec } from "../../../src/engine/core/kafka.ts";
import {
  applyTopics,
  planTopics,
  type DesiredTopic,
} from "../../../src/engine/provision/topics.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";

/** Holds topics and counts what was changed. */
class CountingAdmin implements Pick<
  AdminPort,
  "describeTopics" | "createTopics" | "addPartitions" | "alterTopicConfig"
> {
  readonly topics = new Map<string, TopicDescription>();
  readonly changes: string[] = [];

  describeTopics(names: readonly string[]): Promise<ReadonlyMap<string, TopicDescription | null>> {
    return Promise.resolve(new Map(names.map((name) => [name, this.topics.get(name) ?? null])));
  }
  createTopics(specs: readonly TopicSpec[]): Promise<void> {
    for (const spec of specs) {
      this.changes.push(`create ${spec.topic}`);
      this.topics.set(spec.topic, {
        ...spec,
        id: spec.topic,
        config: { "retention.ms": "604800000", ...spec.config },
      });
    }
    return Promise.resolve();
  }
  addPartitions(topic: string, partitions: number): Promise<void> {
    this.changes.push(`widen ${topic} to ${String(partitions)}`);
    this.topics.set(topic, { ...(this.topics.get(topic) as TopicDescription), partitions });
    return Promise.resolve();
  }
  alterTopicConfig(topic: string, config: Readonly<Record<string, string>>): Promise<void> {
    this.changes.push(`alter ${topic} ${JSON.stringify(config)}`);
    const found = this.topics.get(topic) as TopicDescription;
    this.topics.set(topic, { ...found, config: { ...found.config, ...config } });
    return Promise.resolve();
  }
}

const schemaOf = (...names: string[]): string =>
  JSON.stringify({
    type: "record",
    name: "R",
    fields: names.map((name) => ({ name, type: "int" })),
  });
const ordersWith = (
  config: Record<string, string>,
  schema = schemaOf("a"),
  partitions = 4,
): DesiredTopic => ({
  spec: { topic: "orders", partitions, replicationFactor: -1, config },
  kind: "source",
  valueSchema: { subject: "orders-value", schema },
});

function servers() {
  const counting = new CountingAdmin();
  const registry = new MemoryRegistry();
  const admin = counting as unknown as AdminPort;
  return {
    counting,
    registry,
    plan: (...desired: DesiredTopic[]) => planTopics(desired, admin, registry),
    apply: (...desired: DesiredTopic[]) => applyTopics(desired, admin, registry),
  };
}

test("a missing topic is created with its configuration and its schema; a second apply changes nothing", async () => {
  const { counting, registry, plan, apply } = servers();
  const orders = ordersWith({ "retention.ms": "1000" });
  assert.equal((await plan(orders))[0]?.state, "create");
  assert.deepEqual(counting.changes, []);
  await apply(orders);
  assert.deepEqual(counting.changes, ["create orders"]);
  assert.equal(counting.topics.get("orders")?.config["retention.ms"], "1000");
  assert.equal(await registry.idOf("orders-value", schemaOf("a")), 1);
  const [again] = await apply(orders);
  assert.equal(again?.state, "ok");
  assert.deepEqual(counting.changes, ["create orders"]);
});

test("drift is shown, and apply sets only what is declared", async () => {
  const { counting, plan, apply } = servers();
  await apply(ordersWith({ "retention.ms": "1000", "cleanup.policy": "compact,delete" }));
  await counting.alterTopicConfig("orders", {
    "retention.ms": "5",
    "segment.ms": "7",
    "cleanup.policy": "delete,compact",
  });
  const drifted = ordersWith({ "retention.ms": "1000", "cleanup.policy": "compact,delete" });
  const [found] = await plan(drifted);
  assert.equal(found?.state, "drift");
  assert.deepEqual(found.config, [{ name: "retention.ms", found: "5", declared: "1000" }]);
  await apply(drifted);
  assert.equal(counting.changes.at(-1), 'alter orders {"retention.ms":"1000"}');
  assert.equal(counting.topics.get("orders")?.config["segment.ms"], "7");
});

test("a new version of a schema is a change", async () => {
  const { registry, plan, apply } = servers();
  await apply(ordersWith({}, schemaOf("a", "b")));
  const [found] = await plan(ordersWith({}, schemaOf("a")));
  assert.equal(found?.state, "change");
  assert.deepEqual(
    found.registers.map(({ subject, version }) => [subject, version]),
    [["orders-value", 2]],
  );
  await apply(ordersWith({}, schemaOf("a")));
  assert.equal((await registry.latest("orders-value"))?.version, 2);
  // The older version is registered still, so a deployment that has it plans nothing.
  assert.equal((await plan(ordersWith({}, schemaOf("a", "b"))))[0]?.state, "ok");
});

test("what nobody's keys decide on is widened, or may have any number of partitions", async () => {
  const { counting, plan, apply } = servers();
  const wide = (width: "at least" | "any", partitions: number): DesiredTopic => ({
    spec: { ...ordersWith({}).spec, partitions },
    kind: "redrive",
    width,
  });
  await apply(wide("at least", 4));
  for (const any of [2, 8]) assert.equal((await plan(wide("any", any)))[0]?.state, "ok");
  assert.equal((await plan(wide("at least", 2)))[0]?.state, "ok");
  const [found] = await plan(wide("at least", 6));
  assert.deepEqual([found?.state, found?.widens], ["widen", 6]);
  await apply(wide("at least", 6));
  assert.deepEqual(counting.changes, ["create orders", "widen orders to 6"]);
});

test("a partition count and an incompatible schema are refused together, and nothing is changed", async () => {
  const { counting, registry, plan, apply } = servers();
  await apply(ordersWith({}, schemaOf("a")));
  counting.changes.length = 0;
  const desired = [
    ordersWith({ "retention.ms": "9" }, schemaOf("a", "customerId"), 8),
    {
      spec: { topic: "new", partitions: 1, replicationFactor: -1, config: {} },
      kind: "source" as const,
    },
  ];
  const [found] = await plan(...desired);
  assert.equal(found?.state, "refused");
  await assert.rejects(apply(...desired), (error: unknown) => {
    assert.ok(error instanceof ConfigErrors);
    assert.deepEqual(
      error.problems.map(({ code, message }) => [code, message.replace(/^[^:]*: /, "")]),
      [
        ["MILL_TOPIC_PARTITIONS", "orders: declared 8, found 4"],
        ["MILL_SCHEMA_INCOMPATIBLE", "orders-value: customerId: is new and has no default"],
      ],
    );
    return true;
  });
  assert.deepEqual(counting.changes, []);
  assert.equal((await registry.latest("orders-value"))?.version, 1);
});

test("key and value schemas are registered under their own subjects, plain topics under none", async () => {
  const { registry, apply } = servers();
  const keyed = {
    ...ordersWith({}),
    keySchema: { subject: "orders-key", schema: schemaOf("k") },
  };
  const [plan] = await apply(keyed);
  assert.deepEqual(
    plan?.registers.map(({ subject }) => subject),
    ["orders-key", "orders-value"],
  );
  assert.notEqual(await registry.idOf("orders-key", schemaOf("k")), null);
});

test("while the registry is away the plan is a retry, not an answer", async () => {
  const { registry, counting, apply } = servers();
  registry.setAvailable(false);
  await assert.rejects(apply(ordersWith({})), { code: "MILL_REGISTRY_UNAVAILABLE" });
  assert.deepEqual(counting.changes, []);
});
