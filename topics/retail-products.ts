// The chain's catalogue; the last record of a product holds.
import { string, topic } from "#engine";
import { retailProduct } from "../schemas/types/retail-product.v1.ts";
export type { RetailProduct } from "../schemas/types/retail-product.v1.ts";

/** One record per change of a product, keyed by product. */
export const retailProducts = topic("retail.products", {
  key: string,
  value: retailProduct,
  // As many as retail.clean has, so that a product lies where its lines come to.
  partitions: 4,
  owner: "team-retail",
  description: "The products of the grocery chain.",
  retention: "forever",
  compacted: true,
});
