// Grocery lines with a quantity. A product appears at most once in a basket, so the two are the key.
import { postgresTable } from "#engine";
import { retailLineRow } from "../../schemas/types/retail-line-row.v1.ts";

/** One row per basket and product. */
export const retailLines = postgresTable("retail_lines", {
  row: retailLineRow,
  key: ["basketId", "productId"],
  version: "transactionTimestamp",
  indexes: [["householdId"], ["transactionTimestamp"]],
  description: "One row per basket and product.",
});
