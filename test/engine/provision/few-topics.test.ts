// What pipelines cost in topics, partitions and groups, beside those that they read and write for others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigErrors } from "../../../src/engine/core/errors.ts";
import type { Plan } from "../../../src/engine/core/plan.ts";
import { desiredTopics } from "../../../src/engine/provision/desired-topics.ts";
import { MemoryRegistry } from "../../../src/engine/testing/doubles/memory-registry.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { applyTopics, planTopics } from "../../../src/engine/provision/topics.ts";
import { checkTopics } from "../../../src/engine/runtime/preflight.ts";
import { makeRedrive } from "../../../src/engine/core/late-topics.ts";
import { clickStream } from "../../support/apps/click-stream.ts";
import { customerOrders } from "../../../src/pipelines/customer-orders.ts";

/** What a cluster has after `topics apply`, by kind; and what the first redrive adds. */
async function costOf(plan: Plan) {
  const kafka = new MemoryKafka(new FakeClock(0));
  const admin = kafka.port().admin();
  const registry = new MemoryRegistry();
  await applyTopics(desiredTopics([plan]), admin, registry);
  const own = async () => {
    const outer = new Set([...plan.topics.input, ...plan.topics.output].map(({ name }) => name));
    const plans = await planTopics(desiredTopics([plan]), admin, registry);
    const inner = plans.filter(({ topic }) => !outer.has(topic));
    const kinds = Map.groupBy(inner, ({ kind }) => kind);
    return {
      topics: inner.length,
      partitions: inner.reduce((sum, { partitions }) => sum + partitions, 0),
      kinds: Object.fromEntries([...kinds].map(([kind, all]) => [kind, all.length])),
    };
  };
  const applied = await own();
  await makeRedrive(plan, { admin });
  const redriven = await own();
  return { ...applied, groups: plan.parts.length, redriven };
}

test("a click stream with two re-keys and three tables has 12 topics of its own and 62 partitions", async () => {
  const { redriven, ...applied } = await costOf(clickStream.plan());
  assert.deepEqual(applied, {
    topics: 12,
    partitions: 62,
    groups: 6,
    kinds: { repartition: 2, changelog: 5, sink: 3, "dead letters": 1, meta: 1 },
  });
  assert.deepEqual([redriven.topics, redriven.partitions], [14, 69]);
});

test("the main job of the demo has few topics of its own", async () => {
  const { redriven, ...applied } = await costOf(customerOrders.plan());
  assert.deepEqual(applied, {
    topics: 3,
    partitions: 6,
    groups: 4,
    kinds: { changelog: 1, "dead letters": 1, meta: 1 },
  });
  assert.deepEqual([redriven.topics, redriven.partitions], [5, 11]);
});

test("topics that 0.1.0 has made are taken as they are: apply changes nothing, and a start finds all that it needs", async () => {
  const plan = clickStream.plan();
  const kafka = new MemoryKafka(new FakeClock(0));
  const admin = kafka.port().admin();
  const registry = new MemoryRegistry();
  const before = desiredTopics([plan], { withRedrive: true }).map(({ spec }) => spec);
  const wide = new Set<string>([plan.deadLetters, plan.redrive]);
  const [letters] = before.filter(({ topic }) => topic === plan.deadLetters);
  const made = before.map((spec) => (wide.has(spec.topic) ? { ...spec, partitions: 6 } : spec));
  await admin.createTopics([
    ...made,
    ...(letters === undefined ? [] : [{ ...letters, topic: plan.parked, partitions: 6 }]),
  ]);
  const wanted = desiredTopics([plan]);
  const states = new Set((await planTopics(wanted, admin, registry)).map(({ state }) => state));
  assert.deepEqual([...states], ["ok"]);
  await applyTopics(wanted, admin, registry);
  const found = await admin.describeTopics([plan.deadLetters, plan.redrive, plan.parked]);
  assert.deepEqual(
    [...found.values()].map((topic) => topic?.partitions),
    [6, 6, 6],
  );
  assert.equal((await checkTopics([plan], admin)).get(plan.deadLetters)?.partitions, 6);
  // A redrive topic that is too narrow is said at the start, a missing one is not.
  await admin.deleteTopics([plan.redrive]);
  await checkTopics([plan], admin);
  await admin.createTopics([
    { topic: plan.redrive, partitions: 2, replicationFactor: 1, config: {} },
  ]);
  await assert.rejects(checkTopics([plan], admin), (error: unknown) => {
    assert.ok(error instanceof ConfigErrors);
    assert.match(error.problems[0]?.message ?? "", /clicks-redrive: at least 6, found 2/);
    return error.problems.length === 1;
  });
  const [widened] = (await planTopics(wanted, admin, registry)).filter(
    ({ kind }) => kind === "redrive",
  );
  assert.deepEqual([widened?.state, widened?.widens], ["widen", 6]);
});
