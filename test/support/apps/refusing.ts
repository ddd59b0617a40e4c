// Orders with a rule that is wrong or right, as TEST_RULE says: to a topic, into a table, and summed by customer into
// another. TEST_TOPICS goes before the names, so that two runs never meet on one stack.
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly amount: number;
  readonly version: number;
}
interface Total {
  readonly customer: string;
  readonly total: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "refusing";
/** The wrong rule takes large orders for mistakes. */
const amountMax = process.env["TEST_RULE"] === "wrong" ? 950 : 1_000_000;

const order = avro<Order>({
  type: "record",
  name: "Order",
  namespace: "refusing",
  fields: [
    { name: "id", type: "string" },
    { name: "customer", type: "string" },
    { name: "amount", type: "int" },
    { name: "version", type: "int" },
  ],
});
const total = avro<Total>({
  type: "record",
  name: "Total",
  namespace: "refusing",
  fields: [
    { name: "customer", type: "string" },
    { name: "total", type: "int" },
  ],
});

/** Records have times of years ago, which the usual retention would take away in the midst of a test. */
const shape = {
  key: string,
  partitions: 4,
  owner: "tests",
  retention: "forever",
} as const;
/** Keyed by customer. */
export const orders: Topic<string, Order> = topic(`${prefix}.orders`, {
  ...shape,
  value: json<Order>(),
});
export const clean: Topic<string, Order> = topic(`${prefix}.clean`, { ...shape, value: order });
export const totals: Topic<string, Total> = topic(`${prefix}.totals`, { ...shape, value: total });
const orderRows = postgresTable("orders", { row: order, key: ["id"], version: "version" });
const totalRows = postgresTable("totals", { row: total, key: ["customer"] });

export const refusing: Pipeline = pipeline(prefix, { haltWhen: "never" }, ({ from }) => {
  const taken = from(orders).expect("amount-is-plausible", ({ amount }) => amount <= amountMax, {
    otherwise: "dead-letter",
  });
  taken.to(clean);
  taken
    .groupByKey()
    .sum("by-customer", ({ amount }) => amount)
    .map("as-total", (sum, { key }) => ({ customer: key, total: sum }))
    .to(totals);
  from(clean).upsertInto(orderRows);
  from(totals).upsertInto(totalRows);
});

export const pipelines = [refusing];
export const tables = [orderRows, totalRows];
