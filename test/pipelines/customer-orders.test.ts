import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal } from "#engine";
import { customerOrders, normalise, toFactOrder } from "../../src/pipelines/customer-orders.ts";
import type { CleanOrder } from "../../topics/clean-orders.ts";
import type { Order } from "../../topics/orders.ts";

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
    operation.kind === "expect" ? [[name, operation.otherwise]] : [],
  );
  assert.deepEqual(rules, [
    ["amount-not-negative", "dead-letter"],
    ["customer-present", "log"],
    ["status-known", "dead-letter"],
  ]);
});
