// Generated from ../customer-value.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** What a customer has brought so far; an order counts once, unless it is cancelled. */
export interface CustomerValue {
  readonly customerId: string;
  readonly totalRevenue: Decimal;
  readonly orderCount: number;
  readonly firstOrder: number;
  readonly lastOrder: number;
}
export const customerValue: Schema<CustomerValue> = avro({
  "type": "record",
  "name": "CustomerValue",
  "namespace": "shop",
  "doc": "What a customer has brought so far; an order counts once, unless it is cancelled.",
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
      "name": "firstOrder",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      }
    },
    {
      "name": "lastOrder",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      }
    }
  ]
});
