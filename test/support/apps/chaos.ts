// Two pipelines for a life among faults: orders are checked into a clean topic and a table of one row each; and summed up
// by shop in Redis, through a repartition topic, into a topic and a table. Beside the sums the remarks on a shop's orders
// are collected, for a table that is told at checkpoints. Beside all that ticks set timers, which fire when stream time has
// passed them, and are added up by windows, of their own key and of one that all partitions share. TEST_TOPICS goes before
// the names.
import { rmSync } from "node:fs";
import {
  avro,
  days,
  decimal,
  json,
  nullable,
  pipeline,
  postgresTable,
  seconds,
  string,
  topic,
  tumbling,
  type Decimal,
  type Pipeline,
  type PostgresTable,
  type Topic,
} from "#engine";
import type { StreamNode } from "../../../src/engine/define/nodes/stream-node.ts";
import { timersFacts, timersOf } from "../simulation/timers.ts";
import type { Value } from "../simulation/values.ts";

export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly shop: string;
  readonly amount: Decimal;
  readonly note: string;
}
/** A shop's sum after one more order. */
export interface Total {
  readonly shop: string;
  readonly orders: number;
  readonly sum: Decimal;
  /** The order that came last. */
  readonly last: string;
}

/** The remarks on a shop's orders, one behind the other: a note can make this state as large as it likes. */
export interface Remarks {
  readonly shop: string;
  readonly orders: number;
  readonly remarks: string;
}
/** The beginning of a note that is a remark. */
export const REMARK = "remark ";

const money = (precision: number) => ({
  type: "bytes",
  logicalType: "decimal",
  precision,
  scale: 2,
});
const orderFields = [
  { name: "id", type: "string" },
  { name: "customer", type: "string" },
  { name: "shop", type: "string" },
  { name: "amount", type: money(12) },
  { name: "note", type: "string" },
];
export const orderSchema = (more: readonly object[] = []) => ({
  type: "record",
  name: "Order",
  namespace: "chaos",
  fields: [...orderFields, ...more],
});
/** A later version, as another team's producer would bring it: its id is new to every worker. */
export const orderSchemaV2 = (field: string) =>
  orderSchema([{ name: field, type: "string", default: "" }]);
const order = avro<Order>(orderSchema());
const total = avro<Total>({
  type: "record",
  name: "Total",
  namespace: "chaos",
  fields: [
    { name: "shop", type: "string" },
    { name: "orders", type: "int" },
    { name: "sum", type: money(18) },
    { name: "last", type: "string" },
  ],
});

const remarked = avro<Remarks>({
  type: "record",
  name: "Remarks",
  namespace: "chaos",
  fields: [
    { name: "shop", type: "string" },
    { name: "orders", type: "int" },
    { name: "remarks", type: "string" },
  ],
});

export const PARTITIONS = 4;
/** The timers' step, which is the name of their store too; and how they spread. */
export const TIMERS = "timers";
export const TIMERS_BY = 3;
/** Seconds of a window of ticks, and the keys that all partitions share. */
export const WINDOW_S = 2;
export const DIGITS = 5;
export interface WindowRow {
  readonly of: string;
  readonly start: number;
  readonly sum: number;
}
/** Notes that make the process stand still or die, once a file of that name is in TEST_TROUBLE. */
export const troubles = ["block", "memory"] as const;
const BLOCK_MS = 6_000;

function makeTrouble({ note }: Order): void {
  const trouble = troubles.find((one) => note === one);
  const folder = process.env["TEST_TROUBLE"];
  if (trouble === undefined || folder === undefined) return;
  try {
    // The first to remove it is the one that suffers: the record is read again by others.
    rmSync(`${folder}/${trouble}`);
  } catch {
    return;
  }
  const heap: unknown[] = [];
  for (const until = Date.now() + BLOCK_MS; trouble === "memory" || Date.now() < until;)
    if (trouble === "memory") heap.push(new Array(100_000).fill(heap.length));
}

export interface ChaosApp {
  readonly orders: Topic<string | null, Order>;
  readonly clean: Topic<string | null, Order>;
  readonly totals: Topic<string, Total>;
  readonly ticks: Topic<string, Value>;
  /** Timers that have fired. */
  readonly fired: Topic<string, Value>;
  /** The sums of windows that have closed. */
  readonly windows: Topic<string, WindowRow>;
  readonly checking: Pipeline;
  readonly summing: Pipeline;
  readonly tables: readonly [PostgresTable<Order>, PostgresTable<Total>, PostgresTable<Remarks>];
}

/** The flow with names of its own. */
export function chaosApp(prefix: string): ChaosApp {
  const shape = { partitions: PARTITIONS, owner: "tests" };
  const named = (name: string): string => `${prefix}.${name}`;
  const orders = topic(named("orders"), {
    ...shape,
    partitions: Number(process.env["TEST_ORDERS_PARTITIONS"] ?? PARTITIONS),
    key: nullable(string),
    value: order,
  });
  const clean = topic(named("clean"), { ...shape, key: nullable(string), value: order });
  const totals = topic(named("totals"), { ...shape, key: string, value: total });
  const ticks = topic(named("ticks"), { ...shape, key: string, value: json<Value>() });
  const fired = topic(named("fired"), { ...shape, key: string, value: json<Value>() });
  const windows = topic(named("windows"), { ...shape, key: string, value: json<WindowRow>() });
  const orderRows = postgresTable("order_rows", {
    row: order,
    key: ["id"],
    columns: { shop: { check: "shop <> 'forbidden'" } },
  });
  const shopTotals = postgresTable("shop_totals", { row: total, key: ["shop"], version: "orders" });
  const shopRemarks = postgresTable("shop_remarks", {
    row: remarked,
    key: ["shop"],
    version: "orders",
  });
  // Faults send bad records in a row; that these halt nothing is no part of what is shown.
  const anyLetters = { haltWhen: "never" } as const;
  const checking = pipeline(`${prefix}-checking`, anyLetters, ({ from }) => {
    from(orders)
      .peek("trouble", makeTrouble)
      .expect("amount-positive", (o) => o.amount.gt(0n), { otherwise: "dead-letter" })
      .map("normalise", normalise)
      .to(clean);
    from(clean).upsertInto(orderRows);
  });
  const summing = pipeline(`${prefix}-summing`, anyLetters, ({ from }) => {
    const byShop = from(clean)
      .distinct("repeats", { by: (o) => o.id, within: days(1) })
      .groupBy("by-shop", (o) => o.shop);
    byShop
      .aggregate("shop-total", {
        value: total,
        init: (shop) => ({ shop, orders: 0, sum: decimal("0"), last: "" }),
        add: (t, o) => ({ ...t, orders: t.orders + 1, sum: t.sum.plus(o.amount), last: o.id }),
      })
      .to(totals);
    byShop
      .aggregate("shop-remarks", {
        value: remarked,
        init: (shop) => ({ shop, orders: 0, remarks: "" }),
        add: (r, o) => ({ ...r, orders: r.orders + 1, remarks: r.remarks + remarkIn(o) }),
        emit: "checkpoint",
      })
      .upsertInto(shopRemarks);
    from(totals).upsertInto(shopTotals);
    // An offset names its timer: what was sent is there as often as Kafka has it.
    const placed = from(ticks).map("placed", (tick, { offset }) => ({
      ...tick,
      i: String(offset),
    }));
    const timing = placed as unknown as StreamNode<string, Value>;
    timing.next(TIMERS, timersOf(TIMERS, TIMERS_BY), timersFacts).to(fired);
    placed
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(WINDOW_S), grace: seconds(1) }))
      .sum("tick-sums", ({ n }) => n, { emit: "close" })
      .toStream("tick-row", (sum, { key, start }) => ({ of: key, start: Number(start), sum }))
      .to(windows);
    placed
      .groupBy("by-digit", ({ n }) => `digit${String(n % DIGITS)}`)
      .windowedBy(tumbling({ size: seconds(WINDOW_S), grace: seconds(1) }))
      .sum("digit-sums", ({ n }) => n, { emit: "close" })
      .toStream("digit-row", (sum, { key, start }) => ({ of: key, start: Number(start), sum }))
      .to(windows);
  });
  const allTables = [orderRows, shopTotals, shopRemarks] as const;
  const topics = { orders, clean, totals, ticks, fired, windows };
  return { ...topics, checking, summing, tables: allTables };
}

export const remarkIn = ({ note }: Pick<Order, "note">): string =>
  note.startsWith(REMARK) ? note : "";

function normalise(o: Order): Order {
  if (o.note === "throw") throw new Error("a step that throws");
  return { ...o, shop: o.shop.toLowerCase() };
}

const app = chaosApp(process.env["TEST_TOPICS"] ?? "chaos");
export const pipelines: readonly Pipeline[] = [app.checking, app.summing];
export const tables: readonly PostgresTable<unknown>[] =
  app.tables as readonly PostgresTable<unknown>[];
