// Generated from ../dim-product.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Schema } from "#engine";

/** A row of dim_products: one per product. */
export interface DimProduct {
  readonly productId: string;
  readonly name: string;
  readonly category: string;
}
export const dimProduct: Schema<DimProduct> = avro({
  "type": "record",
  "name": "DimProduct",
  "namespace": "shop",
  "doc": "A row of dim_products: one per product.",
  "fields": [
    {
      "name": "productId",
      "type": "string"
    },
    {
      "name": "name",
      "type": "string"
    },
    {
      "name": "category",
      "type": "string"
    }
  ]
});
