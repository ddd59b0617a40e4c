// Generated from ../retail-line.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** A line of a grocery basket: one product at the till. */
export interface RetailLine {
  readonly householdId: string;
  readonly storeId: string;
  /** One visit to the till; beyond 32 bits. */
  readonly basketId: number;
  readonly productId: string;
  /** 0 in lines that only carry a discount. */
  readonly quantity: number;
  /** What the store received. */
  readonly salesValue: Decimal;
  /** Discount of the store's loyalty card. */
  readonly retailDisc: Decimal;
  /** Discount of a maker's coupon. */
  readonly couponDisc: Decimal;
  /** What the store added to a maker's coupon. */
  readonly couponMatchDisc: Decimal;
  readonly week: number;
  readonly transactionTimestamp: number;
}
export const retailLine: Schema<RetailLine> = avro({
  "type": "record",
  "name": "RetailLine",
  "namespace": "retail",
  "doc": "A line of a grocery basket: one product at the till.",
  "fields": [
    {
      "name": "householdId",
      "type": "string"
    },
    {
      "name": "storeId",
      "type": "string"
    },
    {
      "name": "basketId",
      "type": "long",
      "doc": "One visit to the till; beyond 32 bits."
    },
    {
      "name": "productId",
      "type": "string"
    },
    {
      "name": "quantity",
      "type": "int",
      "doc": "0 in lines that only carry a discount."
    },
    {
      "name": "salesValue",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": 2
      },
      "doc": "What the store received."
    },
    {
      "name": "retailDisc",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": 2
      },
      "doc": "Discount of the store's loyalty card."
    },
    {
      "name": "couponDisc",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": 2
      },
      "doc": "Discount of a maker's coupon."
    },
    {
      "name": "couponMatchDisc",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": 2
      },
      "doc": "What the store added to a maker's coupon."
    },
    {
      "name": "week",
      "type": "int"
    },
    {
      "name": "transactionTimestamp",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      }
    }
  ]
});
