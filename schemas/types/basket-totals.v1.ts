// Generated from ../basket-totals.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** Lines added up, of a household's basket or of a store's hour. */
export interface BasketTotals {
  readonly lines: number;
  readonly spend: Decimal;
}
export const basketTotals: Schema<BasketTotals> = avro({
  "type": "record",
  "name": "BasketTotals",
  "namespace": "retail",
  "doc": "Lines added up, of a household's basket or of a store's hour.",
  "fields": [
    {
      "name": "lines",
      "type": "int"
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
