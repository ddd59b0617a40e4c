// What customers are worth, one number after the other; the last record of a customer holds.
import { string, topic } from "#engine";
import { customerValue } from "../schemas/types/customer-value.v1.ts";
export { customerValue, type CustomerValue } from "../schemas/types/customer-value.v1.ts";

/** One record per change of what a customer is worth, keyed by customer. */
export const customerValues = topic("customer.value", {
  key: string,
  value: customerValue,
  partitions: 4,
  owner: "team-customers",
  description: "Revenue, number of orders, first and last order of each customer.",
  retention: "forever",
  compacted: true,
});
