// Who bought. The unknown member is always there, so a fact without customer still joins.
import { postgresTable } from "#engine";
import { dimCustomer } from "../../schemas/types/dim-customer.v1.ts";

/** The customer of orders whose customer is not known. */
export const UNKNOWN_CUSTOMER = "unknown";

/** One row per customer, and the unknown member. */
export const dimCustomers = postgresTable("dim_customers", {
  row: dimCustomer,
  key: ["customerId"],
  personalData: ["name", "email"],
  rows: () => [
    { customerId: UNKNOWN_CUSTOMER, name: "Unknown customer", email: null, createdDate: null },
  ],
  description: "One row per customer, and one for the unknown.",
});
