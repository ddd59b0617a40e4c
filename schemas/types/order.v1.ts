// Generated from ../order.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** An order as the shop system sends it; nothing is checked yet. */
export interface Order {
  readonly orderId: string;
  /** Null when the shop does not know who bought. */
  readonly customerId: string | null;
  readonly productId: string;
  readonly quantity: number;
  /** What the whole order costs. */
  readonly totalAmount: Decimal;
  /** Free text: any casing, spaces around it. */
  readonly status: string;
  /** When the customer ordered. */
  readonly orderDate: number;
  /** When the shop last changed the order: its event time. */
  readonly updatedAt: number;
}
export const order: Schema<Order> = avro({
  "type": "record",
  "name": "Order",
  "namespace": "shop",
  "doc": "An order as the shop system sends it; nothing is checked yet.",
  "fields": [
    {
      "name": "orderId",
      "type": "string"
    },
    {
      "name": "customerId",
      "type": [
        "null",
        "string"
      ],
      "doc": "Null when the shop does not know who bought.",
      "default": null
    },
    {
      "name": "productId",
      "type": "string"
    },
    {
      "name": "quantity",
      "type": "int"
    },
    {
      "name": "totalAmount",
      "type": {
        "type": "bytes",
        "logicalType": "decimal",
        "precision": 12,
        "scale": 2
      },
      "doc": "What the whole order costs."
    },
    {
      "name": "status",
      "type": "string",
      "doc": "Free text: any casing, spaces around it."
    },
    {
      "name": "orderDate",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      },
      "doc": "When the customer ordered."
    },
    {
      "name": "updatedAt",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      },
      "doc": "When the shop last changed the order: its event time."
    }
  ]
});
