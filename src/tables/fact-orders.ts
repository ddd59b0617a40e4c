// The middle of the star: one row per order.
import { postgresTable } from "#engine";
import { factOrder } from "../../schemas/types/fact-order.v1.ts";
export type { FactOrder } from "../../schemas/types/fact-order.v1.ts";

/** One row per order; an older update never overwrites a newer one. */
export const factOrders = postgresTable("fact_orders", {
  row: factOrder,
  key: ["orderId"],
  version: "updatedAt",
  columns: { amount: { check: "amount >= 0" } },
  indexes: [["customerId"], ["productId"], ["dateId"]],
  description: "One row per order, as last updated.",
});
