// Orders that passed every rule: what other teams should read.
import { days, string, topic } from "#engine";
import { cleanOrder } from "../schemas/types/clean-order.v1.ts";
export {
  isOrderStatus,
  type CleanOrder,
  type OrderStatus,
} from "../schemas/types/clean-order.v1.ts";

/** One record per accepted change of an order, keyed by order. */
export const cleanOrders = topic("orders.clean", {
  key: string,
  value: cleanOrder,
  partitions: 4,
  owner: "team-orders",
  description: "Orders with a known status, a customer and an amount that is not negative.",
  retention: days(30),
  // Event time is in the value; Kafka counts retention from arrival, or old orders would be gone at once.
  config: { "message.timestamp.type": "LogAppendTime" },
  timestamp: (o) => o.updatedAt,
});
