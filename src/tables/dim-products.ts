// What was bought.
import { postgresTable } from "#engine";
import { dimProduct } from "../../schemas/types/dim-product.v1.ts";

/** One row per product. */
export const dimProducts = postgresTable("dim_products", {
  row: dimProduct,
  key: ["productId"],
  indexes: [["category"]],
  description: "One row per product.",
});
