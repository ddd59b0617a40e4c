// What a customer is worth a month, as far as orders tell.
import { postgresTable } from "#engine";
import { customerValueRow } from "../../schemas/types/customer-value-row.v1.ts";
export type { CustomerValueRow } from "../../schemas/types/customer-value-row.v1.ts";

/** One row per customer with an order; the unknown member is one of them, so that revenue adds up. */
export const customerValueTable = postgresTable("customer_value", {
  row: customerValueRow,
  key: ["customerId"],
  description: "One row per customer with an order that counts.",
});
