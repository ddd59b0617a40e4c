// Customers as the shop knows them; the last record of a customer holds.
import { string, topic } from "#engine";
import { customer } from "../schemas/types/customer.v1.ts";
export type { Customer } from "../schemas/types/customer.v1.ts";

/** One record per change of a customer, keyed by customer. */
export const customers = topic("customers", {
  key: string,
  value: customer,
  partitions: 4,
  owner: "team-customers",
  description: "The customers of the shop.",
  retention: "forever",
  compacted: true,
  personalData: ["name", "email"],
});
