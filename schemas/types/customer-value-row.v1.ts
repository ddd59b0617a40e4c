// Generated from ../customer-value-row.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** A row of customer_value: one per customer. */
export interface CustomerValueRow {
  readonly customerId: string;
  readonly totalRevenue: Decimal;
  readonly orderCount: number;
  /** Whole calendar months from the first order to the last. */
  readonly monthsActive: number;
  /** Revenue a month; null for a customer of less than a month. */
  readonly monthlyLtv: Decimal | null;
}
export const customerValueRow: Schema<CustomerValueRow> = avro({
  "type": "record",
  "name": "CustomerValueRow",
  "namespace": "shop",
  "doc": "A row of customer_value: one per customer.",
  "fields": [
    {
      "name": "customerId",
      "type": "string"
    },
    {
      "name": "totalRevenue",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 16,
        "scale": 2
      }
    },
    {
      "name": "orderCount",
      "type": "int"
    },
    {
      "name": "monthsActive",
      "type": "int",
      "doc": "Whole calendar months from the first order to the last."
    },
    {
      "name": "monthlyLtv",
      "type": [
        "null",
        {
          "type": "bytes",
          "logicalType": "decimal",
          "precision": 16,
          "scale": 2
        }
      ],
      "doc": "Revenue a month; null for a customer of less than a month."
    }
  ]
});
