// Generated from ../retail-product.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Schema } from "#engine";

/** A product of the chain's catalogue. */
export interface RetailProduct {
  readonly productId: string;
  readonly manufacturerId: string;
  readonly department: string;
  readonly brand: string;
  readonly productCategory: string | null;
  readonly productType: string | null;
  readonly packageSize: string | null;
}
export const retailProduct: Schema<RetailProduct> = avro({
  "type": "record",
  "name": "RetailProduct",
  "namespace": "retail",
  "doc": "A product of the chain's catalogue.",
  "fields": [
    {
      "name": "productId",
      "type": "string"
    },
    {
      "name": "manufacturerId",
      "type": "string"
    },
    {
      "name": "department",
      "type": "string"
    },
    {
      "name": "brand",
      "type": "string"
    },
    {
      "name": "productCategory",
      "type": [
        "null",
        "string"
      ]
    },
    {
      "name": "productType",
      "type": [
        "null",
        "string"
      ]
    },
    {
      "name": "packageSize",
      "type": [
        "null",
        "string"
      ]
    }
  ]
});
