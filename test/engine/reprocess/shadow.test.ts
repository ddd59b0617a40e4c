import assert from "node:assert/strict";
import { test } from "node:test";
import type { TableSpec } from "../../../src/engine/core/table-layout.ts";
import {
  topicsOfRun,
  shadowOf,
  type Shadowing,
} from "../../../src/engine/reprocess/plan/shadow.ts";
import { customerOrders } from "../../../src/pipelines/customer-orders.ts";
import { retailSpend } from "../../../src/pipelines/retail-spend.ts";
import { pipelines } from "../../../src/pipelines/index.ts";

const how: Shadowing = { run: 7, target: "shadow", staged: [], pins: new Map() };

test("a shadow reads what others write, and shares no group, topic, store or table that the plan writes", () => {
  for (const plan of pipelines.map((each) => each.plan("ns-"))) {
    const shadow = shadowOf(plan, how);
    assert.equal(shadow.pipeline, `${plan.pipeline}-r7`);
    const external = new Set(plan.topics.input.map(({ name }) => name));
    assert.deepEqual(new Set(shadow.topics.input.map(({ name }) => name)), external);
    const names = (of: typeof plan): string[] => [
      ...of.topics.all.map(({ name }) => name),
      ...(Object.values(of).filter(
        (text) => typeof text === "string" && text.includes("-dead-letters"),
      ) as string[]),
      of.meta,
      ...of.parts.map(({ group }) => group),
      ...of.parts.flatMap(({ stores }) => stores.map(({ changelog }) => changelog.name)),
      ...of.tables.map(({ name }) => name),
      ...of.tables.map(({ declaration }) => `declared ${(declaration as TableSpec).name}`),
    ];
    const shared = names(shadow).filter((name) => names(plan).includes(name));
    assert.deepEqual(new Set(shared), external);
    // Nothing is lost, and everything that is the run's own says so.
    assert.equal(names(shadow).length, names(plan).length);
    for (const name of topicsOfRun(plan, shadow)) assert.match(name, /-r7(-|$)/);
  }
});

test("the letters of a run are counted, and halt it never; it knows whose run it is", () => {
  const shadow = shadowOf(retailSpend.plan(), how);
  assert.notEqual(retailSpend.plan().options.haltWhen, "never");
  assert.equal(shadow.options.haltWhen, "never");
  assert.deepEqual(shadow.runOf, { pipeline: "retail-spend", run: 7 });
});

test("what a part reads is what another part of the shadow writes", () => {
  const shadow = shadowOf(retailSpend.plan(), how);
  const written = new Set(
    shadow.parts.flatMap(({ nodes }) =>
      nodes.flatMap(({ operation: { kind, topic } }) =>
        kind !== "source" && topic !== undefined ? [topic.name] : [],
      ),
    ),
  );
  const outside = new Set(["retail.clean", "retail.products"]);
  for (const { sources, nodes } of shadow.parts) {
    for (const { name } of sources) assert.ok(outside.has(name) || written.has(name), name);
    const read = nodes.flatMap(({ operation: { kind, topic } }) =>
      kind === "source" ? [topic?.name] : [],
    );
    assert.deepEqual(new Set(sources.map(({ name }) => name)), new Set(read));
  }
});

test("parts keep their names, callbacks and version; the live plan stays as it is", () => {
  const plan = customerOrders.plan();
  const before = JSON.stringify(plan);
  const shadow = shadowOf(plan, how);
  assert.deepEqual(
    shadow.parts.map(({ name }) => name),
    plan.parts.map(({ name }) => name),
  );
  assert.equal(shadow.version, plan.version);
  assert.equal(JSON.stringify(plan), before);
  const fns = (of: typeof plan): unknown[] =>
    of.parts.flatMap(({ nodes }) =>
      nodes.flatMap(({ operation }) => ("fn" in operation ? [operation.fn] : [])),
    );
  assert.deepEqual(fns(shadow), fns(plan));
  assert.ok(Object.isFrozen(shadow) && Object.isFrozen(shadow.parts[0]));
});

test("topics of a run lose nothing to time, however old their records are", () => {
  const shadow = shadowOf(customerOrders.plan(), how);
  const clean = shadow.topics.all.find(({ name }) => name === "orders.clean-r7");
  assert.equal(clean?.config["retention.ms"], "-1");
  assert.equal(
    shadow.topics.all.find(({ name }) => name === "customer_orders")?.config["retention.ms"],
    "2592000000",
  );
});

test("a staged topic is read from the run's own copy, which keeps the times of its records", () => {
  const shadow = shadowOf(customerOrders.plan(), { ...how, staged: ["customer_orders"] });
  const main = shadow.parts.find(({ name }) => name === "main");
  assert.deepEqual(
    main?.sources.map(({ name }) => name),
    ["customer_orders-r7-input"],
  );
  assert.equal(main?.sources[0]?.config["message.timestamp.type"], "CreateTime");
  assert.ok(topicsOfRun(customerOrders.plan(), shadow).includes("customer_orders-r7-input"));
});

test("in place, tables are the live ones, at the pinned ends of the live topics", () => {
  const pins = new Map([
    ["orders.clean", [5n, 6n, 7n, 8n]],
    ["customers", [1n, 1n, 1n, 1n]],
  ]);
  const shadow = shadowOf(customerOrders.plan(), { ...how, target: "in-place", pins });
  const found = new Map(shadow.tables.map((table) => [table.name, table.corrects]));
  assert.deepEqual(found.get("fact_orders"), { topic: "orders.clean", ends: [5n, 6n, 7n, 8n] });
  assert.deepEqual(found.get("dim_customers"), { topic: "customers", ends: null });
  const staged = shadowOf(customerOrders.plan(), {
    ...how,
    target: "in-place",
    pins,
    staged: ["customers"],
  });
  assert.deepEqual(staged.tables.find(({ name }) => name === "dim_customers")?.corrects, {
    topic: "customers",
    ends: [1n, 1n, 1n, 1n],
  });
});
