// Orders as the shop system sends them. A new version of the schema is two changed lines here.
import { days, string, topic } from "#engine";
import { order } from "../schemas/types/order.v1.ts";
export type { Order } from "../schemas/types/order.v1.ts";

/** One record per change of an order, keyed by order. */
export const orders = topic("customer_orders", {
  key: string,
  value: order,
  partitions: 4,
  owner: "team-orders",
  description: "Every change of a customer's order, unchecked.",
  retention: days(30),
  // Event time is in the value; Kafka counts retention from arrival, or old orders would be gone at once.
  config: { "message.timestamp.type": "LogAppendTime" },
  timestamp: (o) => o.updatedAt,
});
