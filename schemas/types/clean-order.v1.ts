// Generated from ../clean-order.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** Where an order is on its way. */
export type OrderStatus = "pending" | "shipped" | "delivered" | "cancelled";
export const isOrderStatus = (text: string): text is OrderStatus =>
  ["pending", "shipped", "delivered", "cancelled"].includes(text);

/** An order that passed every rule. */
export interface CleanOrder {
  readonly orderId: string;
  /** The unknown member's id when the shop does not know who bought. */
  readonly customerId: string;
  readonly productId: string;
  readonly quantity: number;
  readonly totalAmount: Decimal;
  readonly status: OrderStatus;
  readonly orderDate: number;
  /** Decides which of two updates is newer. */
  readonly updatedAt: number;
}
export const cleanOrder: Schema<CleanOrder> = avro({
  "type": "record",
  "name": "CleanOrder",
  "namespace": "shop",
  "doc": "An order that passed every rule.",
  "fields": [
    {
      "name": "orderId",
      "type": "string"
    },
    {
      "name": "customerId",
      "type": "string",
      "doc": "The unknown member's id when the shop does not know who bought."
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
      }
    },
    {
      "name": "status",
      "type": {
        "type": "enum",
        "name": "OrderStatus",
        "doc": "Where an order is on its way.",
        "symbols": [
          "pending",
          "shipped",
          "delivered",
          "cancelled"
        ]
      }
    },
    {
      "name": "orderDate",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      }
    },
    {
      "name": "updatedAt",
      "type": {
        "type": "long",
        "logicalType": "timestamp-millis"
      },
      "doc": "Decides which of two updates is newer."
    }
  ]
});
