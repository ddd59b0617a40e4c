import assert from "node:assert/strict";
import { test } from "node:test";
import { BROKER_DEFAULTS, madeWith, type TopicDefaults } from "../../src/engine/core/own-topics.ts";
import { topicsVerb } from "../../src/cli/topics/topics.ts";
import type { DesiredTopic } from "../../src/engine/provision/topics.ts";
import { command, MemoryServers } from "../support/command.ts";

const schema = JSON.stringify({ type: "record", name: "R", fields: [{ name: "a", type: "int" }] });
const orders = (partitions = 4, retention = "1000"): DesiredTopic => ({
  spec: {
    topic: "orders",
    partitions,
    replicationFactor: -1,
    config: { "retention.ms": retention },
  },
  kind: "source",
  valueSchema: { subject: "orders-value", schema },
});

/** The verb over servers in memory that outlive each command. */
function servers() {
  const memory = new MemoryServers([]);
  const verbFor = (topics: readonly DesiredTopic[]) =>
    topicsVerb(async (io) => ({
      ...(await memory.connectOperate(io)),
      topicDefaults: BROKER_DEFAULTS,
      topics: () => Promise.resolve(topics),
      allPlans: () => Promise.resolve([]),
    }));
  return {
    memory,
    topics: (desired: DesiredTopic, ...argv: string[]) =>
      command(verbFor([desired]), ["topics", ...argv]),
  };
}

const tableOf = (state: string): string[] => [
  `TOPIC   KIND    PARTITIONS  STATE`,
  `orders  source  4           ${state}`,
];
const counts = ["", "KIND    TOPICS  PARTITIONS", "source  1       4", "all     1       4"];

test("plan shows what apply would do, apply does it, and the next plan is ok", async () => {
  const { memory, topics } = servers();
  const expected = [...tableOf("create"), ...counts, "What is set and registered: --verbose"];
  for (const argv of [["plan"], ["apply", "--dry-run"], ["apply"]])
    assert.deepEqual(await topics(orders(), ...argv), { code: 0, out: expected, err: [] });
  assert.deepEqual((await topics(orders(), "plan")).out, [...tableOf("ok"), ...counts]);
  assert.equal(memory.closed, 4);
});

test("drift names the setting, what it is and what is declared", async () => {
  const { topics } = servers();
  await topics(orders(), "apply");
  const { code, out } = await topics(orders(4, "2000"), "plan");
  assert.equal(code, 0);
  const hint = "What is set and registered: --verbose";
  assert.deepEqual(out, [...tableOf("drift"), ...counts, hint]);
  const verbose = (await topics(orders(4, "2000"), "plan", "--verbose")).out;
  assert.deepEqual(verbose.slice(2, 6), [
    "",
    "orders",
    "  set retention.ms to 2000 (is 1000)",
    "  has orders-value as declared",
  ]);
});

test("a refusal is exit 78, from plan with the reason and from apply with the error", async () => {
  const { topics } = servers();
  await topics(orders(), "apply");
  const plan = await topics(orders(8), "plan");
  assert.equal(plan.code, 78);
  assert.match(
    plan.out[3] ?? "",
    /^orders: cannot: MILL_TOPIC_PARTITIONS .*orders: declared 8, found 4$/,
  );
  const apply = await topics(orders(8), "apply");
  assert.equal(apply.code, 78);
  assert.ok(apply.err.some((line) => line.startsWith("MILL_TOPIC_PARTITIONS")));
});

test("--json prints one object a topic, without the text of the schema", async () => {
  const { topics } = servers();
  const { out } = await topics(orders(), "plan", "--json");
  const { creates, ...plan } = JSON.parse(out[0] ?? "") as Record<string, unknown>;
  assert.equal((creates as { partitions: number }).partitions, 4);
  assert.deepEqual(plan, {
    topic: "orders",
    kind: "source",
    partitions: 4,
    state: "create",
    widens: null,
    config: [],
    registers: [{ subject: "orders-value", version: 1 }],
    problems: [],
  });
});

test("while the registry is away the command exits 69", async () => {
  const { memory, topics } = servers();
  memory.registry.setAvailable(false);
  assert.equal((await topics(orders(), "plan")).code, 69);
});

test("limits that somebody has set and nobody declares are shown, and stay", async () => {
  const { memory, topics } = servers();
  await topics(orders(), "apply");
  const admin = memory.kafka.port().admin();
  await admin.alterTopicConfig("orders", {
    "max.message.bytes": "2000",
    "message.timestamp.after.max.ms": "60000",
  });
  assert.deepEqual((await topics(orders(), "plan")).out, [...tableOf("ok"), ...counts]);
  const { code, out } = await topics(orders(), "plan", "--verbose");
  assert.equal(code, 0);
  assert.deepEqual(out.slice(3, 7), [
    "orders",
    "  has orders-value as declared",
    "  has max.message.bytes 2000, set for the topic, not declared",
    "  has message.timestamp.after.max.ms 60000, set for the topic, not declared",
  ]);
  await topics(orders(), "apply");
  const found = (await admin.describeTopics(["orders"])).get("orders");
  assert.equal(found?.config["max.message.bytes"], "2000");
  const [line = ""] = (await topics(orders(), "plan", "--json")).out;
  assert.deepEqual((JSON.parse(line) as { limits: unknown[] }).limits[0], {
    name: "max.message.bytes",
    found: "2000",
    source: "topic",
  });
});

test("a declared limit that differs is drift, and apply sets it", async () => {
  const { memory, topics } = servers();
  const limited = (bytes: string): DesiredTopic => {
    const { spec, ...schemas } = orders();
    return { ...schemas, spec: { ...spec, config: { "max.message.bytes": bytes } } };
  };
  await topics(limited("3000"), "apply");
  await memory.kafka.port().admin().alterTopicConfig("orders", { "max.message.bytes": "2000" });
  const { out } = await topics(limited("3000"), "plan", "--verbose");
  assert.equal(out[1], tableOf("drift")[1]);
  assert.equal(out[4], "  set max.message.bytes to 3000 (is 2000)");
  await topics(limited("3000"), "apply");
  assert.deepEqual((await topics(limited("3000"), "plan")).out, [...tableOf("ok"), ...counts]);
});

test("settings for new topics are shown, reach a topic that is there, and never more than its replicas", async () => {
  const { memory } = servers();
  const kafka = memory.kafka.port().admin();
  await kafka.createTopics([{ ...orders().spec, replicationFactor: 2 }]);
  const planned = (defaults: TopicDefaults) => {
    const spec = madeWith(defaults, orders().spec);
    const verb = topicsVerb(async (io) => ({
      ...(await memory.connectOperate(io)),
      topicDefaults: defaults,
      topics: () => Promise.resolve([{ ...orders(), spec }]),
      allPlans: () => Promise.resolve([]),
    }));
    return command(verb, ["topics", "plan", "--verbose"]);
  };
  const fits = await planned({ replicationFactor: 3, minInsync: 2 });
  assert.equal(fits.code, 0);
  assert.ok(fits.out.includes("  set min.insync.replicas to 2 (is unset)"));
  assert.match(fits.out.join("\n"), /orders: warning: has 2 replicas, new topics get 3/);
  assert.match(fits.out.join("\n"), /New topics get: replication 3 .*min.insync.replicas 2/);
  const tooMany = await planned({ replicationFactor: 3, minInsync: 3 });
  assert.equal(tooMany.code, 78);
  assert.match(tooMany.out.join("\n"), /cannot: MILL_TOPIC_REPLICAS .*orders has 2, .* is 3/);
});
