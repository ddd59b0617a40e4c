import assert from "node:assert/strict";
import { test } from "node:test";
import { generateCustomers, generateProducts } from "../../src/demo/catalogue.ts";
import { generators, totalOf } from "../../src/demo/generators.ts";
import { generateOrders } from "../../src/demo/orders.ts";
import { randomNumbers, scatter } from "../../src/demo/random-numbers.ts";
import { generateRetail } from "../../src/demo/retail.ts";

test("every customer and product that an order names is generated", () => {
  const customers = new Set([...generateCustomers(1)].map(({ key }) => key));
  const products = new Set([...generateProducts(1)].map(({ key }) => key));
  assert.equal(customers.size, 1_000);
  assert.equal(products.size, 200);
  for (const { value } of generateOrders({ seed: 1, count: 2_000 })) {
    assert.ok(value.customerId === null || customers.has(value.customerId));
    assert.ok(products.has(value.productId));
  }
});

test("some customers have no creation date", () => {
  const dates = [...generateCustomers(1)].map(({ value }) => value.createdDate);
  const missing = dates.filter((date) => date === null).length;
  assert.ok(missing > 0 && missing < 200);
});

test("a customer is the same whoever stands before it", () => {
  const [, second] = [...generateCustomers(3, 2)];
  assert.deepEqual([...generateCustomers(3, 500)][1], second);
});

test("of 10,000 grocery lines exactly 50 have no quantity", () => {
  const lines = [...generateRetail({ seed: 1, count: 10_000 })].map(({ value }) => value);
  assert.equal(lines.length, 10_000);
  assert.equal(lines.filter(({ quantity }) => quantity === 0).length, 50);
  assert.ok(lines.every(({ quantity }) => quantity >= 0));
});

test("grocery lines have the shape of the real file", () => {
  const records = [...generateRetail({ seed: 2, count: 5_000 })];
  const lines = records.map(({ value }) => value);
  const keys = new Set(lines.map((l) => `${String(l.basketId)} ${l.productId}`));
  assert.equal(keys.size, 5_000, "a product stands in a basket once");
  assert.ok(lines.every(({ basketId }) => basketId > 2 ** 31));
  assert.ok(records.every(({ key, value }) => key === value.householdId));
  lines.reduce((before, line) => {
    assert.ok(line.transactionTimestamp >= before.transactionTimestamp, "in order of time");
    return line;
  });
});

test("grocery lines are the same for the same seed", () => {
  const of = (seed: number): string => JSON.stringify([...generateRetail({ seed, count: 500 })]);
  assert.equal(of(1), of(1));
  assert.notEqual(of(1), of(2));
});

test("every generator yields as many records as it says", () => {
  for (const generator of Object.values(generators)) {
    const anomalies = generator.hasAnomalies ? 4 : 0;
    const options = {
      seed: 1,
      count: 50,
      updates: anomalies,
      repeats: anomalies,
      poison: anomalies,
    };
    const records = [...generator.records(options)];
    assert.equal(records.length, totalOf(options));
    assert.ok(records.every(({ topic }) => topic === generator.topic));
  }
});

test("shares are exact for any count", () => {
  for (const count of [0, 1, 12, 50, 99, 12_500]) {
    const kinds = scatter(count, [0.08, 0.02], randomNumbers(count));
    assert.equal(kinds.filter((kind) => kind === 1).length, Math.round(count * 0.08));
    assert.equal(kinds.filter((kind) => kind === 2).length, Math.round(count * 0.02));
  }
});
