// Calendar windows through the whole engine: a month and a day of Berlin, with the hours that its clocks have.
import assert from "node:assert/strict";
import { test } from "node:test";
import { calendar, decimal, hours, json, pipeline, string, topic, type WindowOf } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";

interface Order {
  readonly at: number;
  readonly amount: string;
}
interface Row {
  readonly from: number;
  readonly to: number;
  readonly spend: string;
}
const orders = topic("orders", {
  ...{ key: string, value: json<Order>(), partitions: 1, owner: "tests" },
  timestamp: (order) => order.at,
});
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });

const spending = (window: WindowOf) =>
  pipeline("spending", ({ from }) => {
    from(orders)
      .groupByKey()
      .windowedBy(window)
      .sum("spend", ({ amount }) => decimal(amount), { emit: "close" })
      .toStream("row", (spend, { start, end }) => ({
        ...{ from: Number(start), to: Number(end), spend: spend.toFixed() },
      }))
      .to(rows);
  });
const order = (iso: string, amount = "0.10"): SimulatedStep =>
  send(orders, "c", { at: Date.parse(iso), amount });
const berlin = (unit: "day" | "month") =>
  calendar({ unit, timeZone: "Europe/Berlin", grace: hours(1) });

const shown = ({ value, timestamp }: { value: Row | null; timestamp: number }) =>
  `${new Date(value?.from ?? 0).toISOString()}..${new Date(value?.to ?? 0).toISOString()} ${value?.spend ?? ""} at ${new Date(timestamp).toISOString()}`;

test("a month is that of the zone, and money adds up exactly over it", async () => {
  const { records } = await simulate(spending(berlin("month")), [
    order("2025-02-28T22:59:59.999Z"),
    order("2025-02-28T23:00:00Z"),
    order("2025-03-15T12:00:00Z", "0.20"),
    crash,
    order("2025-03-31T21:59:59.999Z", "0.30"),
    rebalance,
    order("2025-03-31T22:00:00Z"),
    order("2025-03-31T23:00:00Z"),
  ]);
  assert.deepEqual(records(rows).map(shown), [
    "2025-01-31T23:00:00.000Z..2025-02-28T23:00:00.000Z 0.1 at 2025-02-28T22:59:59.999Z",
    "2025-02-28T23:00:00.000Z..2025-03-31T22:00:00.000Z 0.6 at 2025-03-31T21:59:59.999Z",
  ]);
});

for (const [now, isTaken] of [
  ["2025-10-26T23:59:59.999Z", true],
  ["2025-10-27T00:00:00.000Z", false],
  ["2025-10-27T00:00:00.001Z", false],
] as const)
  test(`the day of 25 hours ${isTaken ? "takes" : "no longer takes"} a record when its source is at ${now}`, async () => {
    const { records, ledger } = await simulate(spending(berlin("day")), [
      order("2025-10-25T22:00:00Z"),
      order(now),
      order("2025-10-26T22:59:59.999Z"),
      order("2025-11-30T00:00:00Z"),
    ]);
    const [day] = records(rows);
    assert.equal(
      day === undefined ? "" : shown(day),
      `2025-10-25T22:00:00.000Z..2025-10-26T23:00:00.000Z ${isTaken ? "0.2" : "0.1"} at 2025-10-26T22:59:59.999Z`,
    );
    assert.equal(ledger("main")["late"], isTaken ? undefined : 1);
  });

test("a plan shows the unit and the zone of a window", () => {
  const weekly = calendar({ unit: "week", timeZone: "Asia/Kolkata", grace: hours(2) });
  const node = spending(weekly)
    .plan()
    .parts.flatMap(({ nodes }) => nodes)
    .find(({ name }) => name === "spend");
  assert.deepEqual(node?.facts.details?.(node.operation), {
    window: "calendar week",
    timeZone: "Asia/Kolkata",
    weekStart: "monday",
    grace: "7200000 ms",
  });
});
