// Generated from ../product-spend.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** State of retail-spend: what was spent on a product, and where it belongs. */
export interface ProductSpend {
  /** Null until the product is known: until then its spend waits here. */
  readonly department: string | null;
  readonly spend: Decimal;
}
export const productSpend: Schema<ProductSpend> = avro({
  "type": "record",
  "name": "ProductSpend",
  "namespace": "retail",
  "doc": "State of retail-spend: what was spent on a product, and where it belongs.",
  "fields": [
    {
      "name": "department",
      "type": [
        "null",
        "string"
      ],
      "doc": "Null until the product is known: until then its spend waits here."
    },
    {
      "name": "spend",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 16,
        "scale": 2
      }
    }
  ]
});
