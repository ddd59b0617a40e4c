// Orders from a topic straight into a table. TEST_TOPICS goes before the names, so that two runs never meet on one stack.
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
  readonly amount: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "guarded";
const order = avro<Order>({
  type: "record",
  name: "Order",
  namespace: "guarded",
  fields: [
    { name: "id", type: "string" },
    { name: "amount", type: "int" },
  ],
});

export const orders: Topic<string, Order> = topic(`${prefix}.orders`, {
  key: string,
  value: json<Order>(),
  partitions: 1,
  owner: "tests",
});
const orderRows = postgresTable("orders", { row: order, key: ["id"] });

export const guarded: Pipeline = pipeline(prefix, { haltWhen: "never" }, ({ from }) => {
  from(orders).upsertInto(orderRows);
});

export const pipelines = [guarded];
export const tables = [orderRows];
