// The product catalogue; the last record of a product holds.
import { string, topic } from "#engine";
import { product } from "../schemas/types/product.v1.ts";
export type { Product } from "../schemas/types/product.v1.ts";

/** One record per change of a product, keyed by product. */
export const products = topic("products", {
  key: string,
  value: product,
  partitions: 4,
  owner: "team-catalogue",
  description: "The products of the shop.",
  retention: "forever",
  compacted: true,
});
