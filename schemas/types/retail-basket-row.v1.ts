// Generated from ../retail-basket-row.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** A row of retail_baskets: one per household and session of its lines. */
export interface RetailBasketRow {
  readonly householdId: string;
  /** The time of its first line. */
  readonly startedAt: number;
  /** The time of its last line. */
  readonly endedAt: number;
  readonly lines: number;
  readonly spend: Decimal;
}
export const retailBasketRow: Schema<RetailBasketRow> = avro({
  "type": "record",
  "name": "RetailBasketRow",
  "namespace": "retail",
  "doc": "A row of retail_baskets: one per household and session of its lines.",
  "fields": [
    {
      "name": "householdId",
      "type": "string"
    },
    {
      "name": "startedAt",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      },
      "doc": "The time of its first line."
    },
    {
      "name": "endedAt",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      },
      "doc": "The time of its last line."
    },
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
