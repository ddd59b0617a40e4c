import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { toRow, valueOfCustomers } from "../../src/pipelines/customer-value.ts";
import { customerValueTable } from "../../src/tables/customer-value.ts";
import { cleanOrders, type CleanOrder } from "../../topics/clean-orders.ts";
import { customerValues, type CustomerValue } from "../../topics/customer-values.ts";

const at = (text: string): number => Date.parse(`${text}T12:00:00Z`);

const anOrder = (orderId: string, but: Partial<CleanOrder> = {}): CleanOrder => {
  const orderDate = but.orderDate ?? at("2025-01-15");
  return {
    orderId,
    customerId: "c-1",
    productId: "p-1",
    quantity: 1,
    totalAmount: decimal("100.00"),
    status: "shipped",
    orderDate,
    updatedAt: orderDate,
    ...but,
  };
};

const sent = (...orders: CleanOrder[]): SimulatedStep[] =>
  orders.map((order) => send(cleanOrders, order.orderId, order));

const aValue = (first: string, last: string, revenue = "1200.00"): CustomerValue => ({
  customerId: "c-1",
  totalRevenue: decimal(revenue),
  orderCount: 2,
  firstOrder: at(first),
  lastOrder: at(last),
});

test("1200 over 12 months is 100 a month, in the topic's last record and in the row", async () => {
  const twelve = Array.from({ length: 12 }, (_, i) =>
    anOrder(`o-${String(i)}`, { orderDate: Date.UTC(2025, 0, 15 + 30 * i) }),
  );
  const last = { ...(twelve[11] as CleanOrder), orderDate: at("2026-01-15") };
  const { records, rows, ledger } = await simulate(
    valueOfCustomers,
    sent(...twelve.slice(0, 11), last),
  );
  assert.deepEqual(rows(customerValueTable), [
    {
      customerId: "c-1",
      totalRevenue: decimal("1200.00"),
      orderCount: 12,
      monthsActive: 12,
      monthlyLtv: decimal("100.00"),
    },
  ]);
  const changes = records(customerValues);
  assert.equal(changes.length, 12);
  assert.deepEqual(changes.at(-1)?.value, {
    customerId: "c-1",
    totalRevenue: decimal("1200"),
    orderCount: 12,
    firstOrder: Date.UTC(2025, 0, 15),
    lastOrder: at("2026-01-15"),
  });
  assert.deepEqual(ledger("by-customer"), { consumed: 12, emitted: 12 });
});

test("a month is full on the same day of the next, by the calendar of UTC", () => {
  const months = (first: string, last: string) => toRow(aValue(first, last)).monthsActive;
  assert.equal(months("2025-01-15", "2025-02-14"), 0);
  assert.equal(months("2025-01-15", "2025-02-15"), 1);
  assert.equal(months("2025-01-31", "2025-02-28"), 0);
  assert.equal(months("2025-01-31", "2025-03-31"), 2);
  assert.equal(months("2024-12-31", "2025-01-30"), 0);
  assert.equal(months("2024-02-29", "2025-03-01"), 12);
});

test("there is no value a month before the first month is full, and none of nothing is nothing", () => {
  assert.equal(toRow(aValue("2025-01-15", "2025-02-14")).monthlyLtv, null);
  assert.deepEqual(toRow(aValue("2025-01-15", "2026-01-15", "0")).monthlyLtv, decimal("0"));
});

test("half a cent is rounded up", () => {
  const monthly = (revenue: string) => toRow(aValue("2025-01-01", "2025-03-01", revenue));
  assert.equal(monthly("0.01").monthlyLtv?.toFixed(2), "0.01");
  assert.equal(monthly("33.33").monthlyLtv?.toFixed(2), "16.67");
  const thirds = toRow(aValue("2025-01-01", "2025-04-01", "100.00"));
  assert.equal(thirds.monthlyLtv?.toFixed(2), "33.33");
});

test("an order counts once, as first seen: updates, repeats and cancelled ones do not count", async () => {
  const first = anOrder("o-1");
  const update = { ...first, totalAmount: decimal("999.99"), updatedAt: first.updatedAt + 1 };
  const { rows, ledger } = await simulate(
    valueOfCustomers,
    sent(
      first,
      first,
      update,
      { ...first, status: "cancelled" },
      anOrder("o-2", { status: "cancelled", totalAmount: decimal("50.00") }),
    ),
  );
  assert.deepEqual(
    rows(customerValueTable).map(({ totalRevenue, orderCount }) => ({ totalRevenue, orderCount })),
    [{ totalRevenue: decimal("100.00"), orderCount: 1 }],
  );
  assert.deepEqual(ledger("main"), { consumed: 5, emitted: 1, deduplicated: 2, filtered: 2 });
});

/** The same by a second, naive program. */
function naive(orders: readonly CleanOrder[]): Map<string, { cents: number; dates: number[] }> {
  const seen = new Set<string>();
  const values = new Map<string, { cents: number; dates: number[] }>();
  for (const { orderId, customerId, totalAmount, status, orderDate } of orders) {
    if (status === "cancelled" || seen.has(orderId)) continue;
    seen.add(orderId);
    const value = values.get(customerId) ?? { cents: 0, dates: [] };
    value.cents += Number(totalAmount.times(100n).toString());
    value.dates.push(orderDate);
    values.set(customerId, value);
  }
  return values;
}

function randomOrders(seed: number): CleanOrder[] {
  const random = seededRandom(seed);
  const whole = (below: number): number => Math.floor(random.next() * below);
  const statuses = ["pending", "shipped", "cancelled"] as const;
  return Array.from({ length: 90 }, (_, i) =>
    anOrder(`o-${String(whole(60))}`, {
      customerId: `c-${String(whole(7))}`,
      totalAmount: decimal(`${String(whole(500))}.${String(10 + whole(90))}`),
      status: statuses[whole(3)] ?? "pending",
      orderDate: Date.UTC(2025, whole(14), 1 + whole(28)),
      updatedAt: Date.UTC(2026, 3, 1) + i,
    }),
  );
}

test("crashes and rebalances in between change no figure", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const orders = randomOrders(seed);
    const steps = sent(...orders);
    const faults = [crash, rebalance, crash];
    const result = await simulate(
      valueOfCustomers,
      [0, 1, 2].flatMap((third) => [
        ...steps.slice(third * 30, third * 30 + 30),
        faults[third] as SimulatedStep,
      ]),
      { seed },
    );
    const found = result.rows(customerValueTable).map((row) => [
      row.customerId,
      {
        revenue: row.totalRevenue.toFixed(2),
        count: row.orderCount,
        monthly: row.monthlyLtv?.toFixed(2) ?? null,
      },
    ]);
    const wanted = [...naive(orders)].map(([customerId, { cents, dates }]) => {
      const months = monthsBetween(Math.min(...dates), Math.max(...dates));
      const monthly = months === 0 ? null : (Math.round(cents / months) / 100).toFixed(2);
      return [customerId, { revenue: (cents / 100).toFixed(2), count: dates.length, monthly }];
    });
    assert.deepEqual(Object.fromEntries(found), Object.fromEntries(wanted), `seed ${String(seed)}`);
    assert.deepEqual(result.deadLetters, []);
  }
});

/** Counts on while the day is not beyond the end; every day here is one that each month has. */
function monthsBetween(first: number, last: number): number {
  const day = new Date(first);
  let months = -1;
  for (; day.getTime() <= last; day.setUTCMonth(day.getUTCMonth() + 1)) months++;
  return months;
}
