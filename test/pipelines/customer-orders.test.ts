import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal } from "#engine";
import { crash, send, simulate } from "#testing";
import { generateOrders } from "../../src/demo/orders.ts";
import type { Expect } from "../../src/engine/transform/stateless/expect.ts";
import { customerOrders, normalise, toFactOrder } from "../../src/pipelines/customer-orders.ts";
import { factOrders } from "../../src/tables/fact-orders.ts";
import { cleanOrders, type CleanOrder } from "../../topics/clean-orders.ts";
import { orders, type Order } from "../../topics/orders.ts";

const anOrder = (but: Partial<Order> = {}): Order => ({
  orderId: "o-1",
  customerId: "c-1",
  productId: "p-1",
  quantity: 2,
  totalAmount: decimal("12.30"),
  status: "shipped",
  orderDate: Date.UTC(2026, 0, 5, 23, 59, 59),
  updatedAt: Date.UTC(2026, 0, 6, 8),
  ...but,
});

test("a missing customer becomes the unknown member", () => {
  assert.equal(normalise(anOrder({ customerId: null })).customerId, "unknown");
  assert.equal(normalise(anOrder()).customerId, "c-1");
});

test("a status loses its casing and the spaces around it, and nothing else changes", () => {
  assert.deepEqual(normalise(anOrder({ status: "  SHIPPED\t" })), anOrder());
});

test("a fact has the UTC day of the order, not of its update", () => {
  const clean: CleanOrder = { ...anOrder(), customerId: "c-1", status: "shipped" };
  assert.deepEqual(toFactOrder(clean), {
    orderId: "o-1",
    customerId: "c-1",
    productId: "p-1",
    dateId: 20_260_105,
    quantity: 2,
    amount: decimal("12.30"),
    status: "shipped",
    orderTs: clean.orderDate,
    updatedAt: clean.updatedAt,
  });
});

test("rules stand before the steps that rely on them, and every table is a part of its own", () => {
  const { parts } = customerOrders.plan();
  assert.deepEqual(
    parts.map(({ name }) => name),
    ["main", "fact_orders", "dim_customers", "dim_products"],
  );
  const rules = parts[0]?.nodes.flatMap(({ name, operation }) =>
    operation.kind === "expect" ? [[name, (operation as Expect).otherwise]] : [],
  );
  assert.deepEqual(rules, [
    ["amount-not-negative", "dead-letter"],
    ["customer-present", "log"],
    ["status-known", "dead-letter"],
  ]);
});

test("later updates are kept, exact repeats are told apart and dropped, also after a crash", async () => {
  const options = { seed: 1, count: 400, updates: 60, repeats: 50 };
  const steps = [...generateOrders(options)].map(({ key, value }) => send(orders, key, value));
  // Among the repeats, whose first ones the second worker has not read itself.
  const result = await simulate(customerOrders, [
    ...steps.slice(0, 480),
    crash,
    ...steps.slice(480),
  ]);
  assert.deepEqual(result.ledger("main"), {
    consumed: 510,
    "dead-lettered": 8,
    deduplicated: 50,
    emitted: 452,
  });
  const clean = result.records(cleanOrders).map(({ value }) => value as CleanOrder);
  assert.equal(clean.length, 452);
  assert.equal(new Set(clean.map((o) => `${o.orderId}/${String(o.updatedAt)}`)).size, 452);
  const newest = Map.groupBy(clean, ({ orderId }) => orderId);
  assert.equal(newest.size, 392);
  for (const { orderId, updatedAt } of result.rows(factOrders))
    assert.equal(updatedAt, newest.get(orderId)?.at(-1)?.updatedAt);
});

test("what is repeated more than a week later is late, since its first may be forgotten", async () => {
  const day = (n: number): number => Date.UTC(2026, 0, 6 + n, 8);
  const later = (orderId: string, updatedAt: number) =>
    send(orders, orderId, anOrder({ orderId, updatedAt }), { partition: 0 });
  const { ledger } = await simulate(customerOrders, [
    later("o-1", day(0)),
    later("o-2", day(7)),
    later("o-1", day(0)),
    later("o-3", day(7) + 1),
    later("o-1", day(0)),
  ]);
  assert.deepEqual(ledger("main"), { consumed: 5, emitted: 3, deduplicated: 1, late: 1 });
});
