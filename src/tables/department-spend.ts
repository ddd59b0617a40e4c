// What is spent where.
import { postgresTable } from "#engine";
import { departmentSpend } from "../../schemas/types/department-spend.v1.ts";

/** One row per department. */
export const departmentSpends = postgresTable("department_spend", {
  row: departmentSpend,
  key: ["department"],
  description: "One row per department: what was spent on its products.",
});
