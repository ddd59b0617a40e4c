// The limits of internal topics, and the words on outputs that take less than their sources let through.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hours, json, minutes, pipeline, string, topic, type Pipeline } from "#engine";
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import { desiredTopics } from "../../../src/engine/provision/desired-topics.ts";
import { unboundedSources } from "../../../src/engine/provision/topic-limits.ts";
import { applyTopics, planTopics } from "../../../src/engine/provision/topics.ts";
import { shadowOf } from "../../../src/engine/reprocess/plan/shadow.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { customerOrders } from "../../../src/pipelines/customer-orders.ts";
import { valueOfCustomers as customerValue } from "../../../src/pipelines/customer-value.ts";

const AFTER = "message.timestamp.after.max.ms";
const BEFORE = "message.timestamp.before.max.ms";
const MAX = "9223372036854775807";

interface Value {
  readonly at: number;
}
const shape = { key: string, value: json<Value>(), partitions: 1, owner: "tests" };
/** Brokers since 4.0 have these limits by default; the one in memory has none. */
const hour = { config: { [AFTER]: "3600000" } };
const copyOf = (given: object, taking: object = {}): Pipeline => {
  const [source, output] = [
    { ...hour, ...given },
    { ...hour, ...taking },
  ];
  const [input, out] = [
    topic("in", { ...shape, ...source }),
    topic("out", { ...shape, ...output }),
  ];
  return pipeline("flow", ({ from }) => from(input).to(out));
};
const servers = (): { admin: AdminPort; registry: MemoryRegistry } => ({
  admin: new MemoryKafka(new FakeClock()).port().admin(),
  registry: new MemoryRegistry(),
});

test("every internal topic takes any timestamp and keeps it, but changelogs, which have the broker's", () => {
  const plans = [customerOrders.plan(), customerValue.plan()];
  const shadow = shadowOf(customerValue.plan(), {
    ...{ run: 7, target: "shadow", pins: new Map() },
    staged: ["orders.clean"],
  });
  const internal = new Set([
    ...[...plans, shadow].flatMap(({ topics }) => [
      ...topics.internal.map(({ name }) => name),
      ...topics.own,
    ]),
    "customer.value-r7",
    "orders.clean-r7-input",
  ]);
  const desired = desiredTopics([...plans, shadow]).filter(({ spec }) => internal.has(spec.topic));
  assert.equal(desired.length, internal.size);
  for (const { spec } of desired) {
    const { config, topic: name } = spec;
    assert.deepEqual([config[BEFORE], config[AFTER]], [MAX, MAX], name);
    const isChangelog = name.endsWith("-changelog");
    if (name === "customer.value-r7") continue;
    const type = isChangelog ? "LogAppendTime" : "CreateTime";
    assert.equal(config["message.timestamp.type"], type, name);
  }
});

test("internal topics of an earlier release are mended by apply", async () => {
  const { admin, registry } = servers();
  const desired = desiredTopics([customerValue.plan()]);
  const before = desired.map(({ spec, kind }) => {
    const isOuter = kind === "source" || kind === "output";
    return { ...spec, ...(isOuter ? {} : hour), replicationFactor: 1 };
  });
  await admin.createTopics(before);
  await admin.alterTopicConfig("customer-value-by-customer-repartition", {
    "message.timestamp.type": "LogAppendTime",
  });
  const stateOf = async (name: string) =>
    (await planTopics(desired, admin, registry)).find(({ topic: found }) => found === name);
  const repartition = await stateOf("customer-value-by-customer-repartition");
  assert.equal(repartition?.state, "drift");
  const names = repartition.config.map(({ name, found, declared }) => [name, found, declared]);
  assert.ok(names.some(([name, found, to]) => name === AFTER && found === "3600000" && to === MAX));
  assert.ok(names.some(([name]) => name === "message.timestamp.type"));
  await applyTopics(desired, admin, registry);
  for (const { state } of await planTopics(desired, admin, registry)) assert.equal(state, "ok");
});

const warningsOf = async (flow: Pipeline): Promise<readonly string[]> => {
  const { admin, registry } = servers();
  const desired = desiredTopics([flow.plan()]);
  await applyTopics(desired, admin, registry);
  const plans = await planTopics(desired, admin, registry);
  return plans.flatMap(({ topic: name, warnings }) => warnings.map((said) => `${name} ${said}`));
};
const at = { timestamp: (value: Value) => value.at };

test("an output that takes less than a source lets through is warned of", async () => {
  assert.deepEqual(await warningsOf(copyOf(at)), []);
  assert.deepEqual(await warningsOf(copyOf({ ...at, futureMax: hours(3) })), [
    `out takes timestamps up to 1 hour ahead (${AFTER}), in lets times through up to 3 hours ahead`,
  ]);
  assert.deepEqual(await warningsOf(copyOf(at, { config: { [AFTER]: "60000" } })), [
    `out takes timestamps up to 1 minute ahead (${AFTER}), in lets times through up to 1 hour ahead`,
  ]);
  const unbounded = { config: { [AFTER]: MAX } };
  assert.deepEqual(await warningsOf(copyOf(unbounded)), [
    `out takes timestamps up to 1 hour ahead (${AFTER}), in lets times through up to any time ahead`,
  ]);
  for (const output of [
    { config: { [AFTER]: MAX } },
    { config: { "message.timestamp.type": "LogAppendTime" } },
  ])
    assert.deepEqual(await warningsOf(copyOf({ ...at, futureMax: hours(3) }, output)), []);
  assert.deepEqual(await warningsOf(copyOf({ ...at, futureMax: minutes(5) })), []);
});

test("a source that takes timestamps from far ahead is known, unless the broker stamps it", async () => {
  const lines = async (config: Record<string, string>): Promise<readonly string[]> => {
    const { admin, registry } = servers();
    const plans = [copyOf({ ...at, config: { ...hour.config, ...config } }).plan()];
    await applyTopics(desiredTopics(plans), admin, registry);
    return unboundedSources(plans, await admin.describeTopics(["in", "out"]));
  };
  assert.deepEqual(await lines({}), []);
  assert.deepEqual(await lines({ [AFTER]: "7200000" }), [
    "in takes timestamps up to 2 hours ahead of the broker's clock",
  ]);
  assert.deepEqual(await lines({ [AFTER]: MAX }), [
    "in takes timestamps up to any time ahead of the broker's clock",
  ]);
  const stamped = { [AFTER]: MAX, "message.timestamp.type": "LogAppendTime" };
  assert.deepEqual(await lines(stamped), []);
});
