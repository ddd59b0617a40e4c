// What the chain's customers have spent, by household and by department; the last record of a key holds.
import { string, topic } from "#engine";
import { departmentSpend } from "../schemas/types/department-spend.v1.ts";
import { householdSpend } from "../schemas/types/household-spend.v1.ts";

const sums = {
  partitions: 4,
  owner: "team-retail",
  retention: "forever",
  compacted: true,
} as const;

/** One record per change, keyed by household. */
export const spendByHousehold = topic("retail.spend-by-household", {
  ...sums,
  key: string,
  value: householdSpend,
  description: "What each household has spent.",
});

/** One record per change, keyed by department. */
export const spendByDepartment = topic("retail.spend-by-department", {
  ...sums,
  key: string,
  value: departmentSpend,
  description: "What was spent in each department, of products that are known.",
});
