// Grocery lines: those with a quantity go to retail.clean, and from there into retail_lines.
import { pipeline } from "#engine";
import { cleanTransactions, transactions } from "../../topics/retail.ts";
import { retailLines } from "../tables/retail-lines.ts";

/** Cleans grocery lines and keeps one row per basket and product. */
export const retail = pipeline("retail", ({ from }) => {
  from(transactions)
    .expect("quantity-positive", (line) => line.quantity > 0, {
      otherwise: "dead-letter",
      dimension: "validity",
    })
    .to(cleanTransactions);
  from(cleanTransactions).upsertInto(retailLines);
});
