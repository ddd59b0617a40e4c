// Two pipelines for a life among faults: orders are checked into a clean topic and a table of one row each; and summed up
// by shop in Redis, through a repartition topic, into a topic and a table. Beside the sums the remarks on a shop's orders
// are collected, for a table that is told at checkpoints. Beside all that ticks set timers, which fire when stream time has
// passed them, are added up by windows, of their own key and of one that all partitions share, are joined with tocks, and, each
// once, make a handler wait for a pause. TEST_TOPICS goes before the names.
import { rmSync } from "node:fs";
import {
  avro,
  days,
  decimal,
  json,
  milliseconds,
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
/** How late ticks and tocks may be. */
export const GRACE_MS = 1_000;
/** A tock is at most so much older, and so much newer, than its tick. */
export const TOCK_BEFORE_MS = 400;
export const TOCK_AFTER_MS = 600;
/** A tick that is sent again is left out for so long. */
export const ONCE_MS = 4_000;
/** A key pauses so long behind its last tick, unless that is one of those that cancel it. */
export const PAUSE_MS = 600;
export const cancelsPause = ({ n }: Pick<Value, "n">): boolean => n % 5 === 3;
export interface WindowRow {
  readonly of: string;
  readonly start: number;
  readonly sum: number;
}
/** Offsets of a tick and of its tock in their topics; empty for none. */
export interface PairRow {
  readonly tick: string;
  readonly tock: string;
}
export interface PauseRow {
  readonly of: string;
  readonly due: number;
  readonly ticks: number;
}
/** A record that was too late, by its offset, and for what. */
export interface LateRow {
  readonly of: "window" | "tick" | "tock";
  readonly i: string;
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
  readonly tocks: Topic<string, Value>;
  /** Timers that have fired. */
  readonly fired: Topic<string, Value>;
  /** The sums of windows that have closed. */
  readonly windows: Topic<string, WindowRow>;
  readonly pairs: Topic<string, PairRow>;
  readonly pauses: Topic<string, PauseRow>;
  readonly late: Topic<string, LateRow>;
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
  // Their times are counted, and fall behind the clock while nothing can be sent: the clock says nothing of them.
  const counted = { ...shape, key: string, idleAfter: "never" as const };
  const ticks = topic(named("ticks"), { ...counted, value: json<Value>() });
  const tocks = topic(named("tocks"), { ...counted, value: json<Value>() });
  const fired = topic(named("fired"), { ...shape, key: string, value: json<Value>() });
  const windows = topic(named("windows"), { ...shape, key: string, value: json<WindowRow>() });
  const pairs = topic(named("pairs"), { ...shape, key: string, value: json<PairRow>() });
  const pauses = topic(named("pauses"), { ...shape, key: string, value: json<PauseRow>() });
  const late = topic(named("late"), { ...shape, key: string, value: json<LateRow>() });
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
    const placed = from(ticks).map("placed", atOffset);
    const timing = placed as unknown as StreamNode<string, Value>;
    timing.next(TIMERS, timersOf(TIMERS, TIMERS_BY), timersFacts).to(fired);
    const grace = milliseconds(GRACE_MS);
    const sums = placed
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(WINDOW_S), grace }))
      .sum("tick-sums", ({ n }) => n, { emit: "close" });
    sums.late.map("late-for-window", lateFor("window")).to(late);
    sums
      .toStream("tick-row", (sum, { key, start }) => ({ of: key, start: Number(start), sum }))
      .to(windows);
    placed
      .groupBy("by-digit", ({ n }) => `digit${String(n % DIGITS)}`)
      .windowedBy(tumbling({ size: seconds(WINDOW_S), grace }))
      .sum("digit-sums", ({ n }) => n, { emit: "close" })
      .toStream("digit-row", (sum, { key, start }) => ({ of: key, start: Number(start), sum }))
      .to(windows);
    const paired = placed.outerJoin("paired", from(tocks).map("placed-tock", atOffset), pairOf, {
      before: milliseconds(TOCK_BEFORE_MS),
      after: milliseconds(TOCK_AFTER_MS),
      grace,
    });
    paired.to(pairs);
    paired.lateLeft.map("late-tick", lateFor("tick")).to(late);
    paired.lateRight.map("late-tock", lateFor("tock")).to(late);
    placed
      .distinct("ticks-once", { by: ({ n }) => n, within: milliseconds(ONCE_MS) })
      .process("pausing", {
        state: { ticks: json<number>() },
        timers: { pause: "event-time" },
        onRecord(tick, { record, state, timers }) {
          state.ticks.set((state.ticks.get() ?? 0) + 1);
          if (cancelsPause(tick)) timers.pause.cancel();
          else timers.pause.at(record.timestamp + PAUSE_MS);
          return [];
        },
        onTimer: {
          pause({ key, due, state }) {
            const row: PauseRow = { of: key, due, ticks: state.ticks.get() ?? 0 };
            state.ticks.clear();
            return [row];
          },
        },
      })
      .to(pauses);
  });
  const allTables = [orderRows, shopTotals, shopRemarks] as const;
  const topics = { orders, clean, totals, ticks, tocks, fired, windows, pairs, pauses, late };
  return { ...topics, checking, summing, tables: allTables };
}

/** An offset names its record: what was sent is there as often as Kafka has it. */
const atOffset = (value: Value, { offset }: { readonly offset: bigint }): Value => ({
  ...value,
  i: String(offset),
});
const pairOf = (tick: Value | null, tock: Value | null): PairRow => ({
  tick: tick?.i ?? "",
  tock: tock?.i ?? "",
});
const lateFor =
  (of: LateRow["of"]) =>
  ({ i }: Value): LateRow => ({ of, i });

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
