// Who spends how much.
import { postgresTable } from "#engine";
import { householdSpend } from "../../schemas/types/household-spend.v1.ts";

/** One row per household. */
export const householdSpends = postgresTable("household_spend", {
  row: householdSpend,
  key: ["householdId"],
  description: "One row per household: what it has spent.",
});
