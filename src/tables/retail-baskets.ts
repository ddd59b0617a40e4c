// What households buy in one go.
import { postgresTable } from "#engine";
import { retailBasketRow } from "../../schemas/types/retail-basket-row.v1.ts";
export type { RetailBasketRow } from "../../schemas/types/retail-basket-row.v1.ts";

/** One row per household and basket. */
export const retailBaskets = postgresTable("retail_baskets", {
  row: retailBasketRow,
  key: ["householdId", "startedAt"],
  description: "One row per basket: lines of a household that are at most 30 minutes apart.",
});
