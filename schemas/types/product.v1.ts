// Generated from ../product.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Schema } from "#engine";

/** A product of the catalogue. */
export interface Product {
  readonly productId: string;
  readonly name: string;
  readonly category: string;
}
export const product: Schema<Product> = avro({
  "type": "record",
  "name": "Product",
  "namespace": "shop",
  "doc": "A product of the catalogue.",
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
