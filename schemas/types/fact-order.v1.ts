// Generated from ../fact-order.v1.avsc by `millrace schemas generate`. Do not edit.
import { avro, type Decimal, type Schema } from "#engine";

/** Where an order is on its way. */
export type OrderStatus = "pending" | "shipped" | "delivered" | "cancelled";
export const isOrderStatus = (text: string): text is OrderStatus =>
  ["pending", "shipped", "delivered", "cancelled"].includes(text);

/** A row of fact_orders: one per order, as last updated. */
export interface FactOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly productId: string;
  /** The UTC day of the order as yyyymmdd: the key of dim_dates. */
  readonly dateId: number;
  readonly quantity: number;
  readonly amount: Decimal;
  readonly status: OrderStatus;
  readonly orderTs: number;
  readonly updatedAt: number;
}
export const factOrder: Schema<FactOrder> = avro({
  "type": "record",
  "name": "FactOrder",
  "namespace": "shop",
  "doc": "A row of fact_orders: one per order, as last updated.",
  "fields": [
    {
      "name": "orderId",
      "type": "string"
    },
    {
      "name": "customerId",
      "type": "string"
    },
    {
      "name": "productId",
      "type": "string"
    },
    {
      "name": "dateId",
      "type": "int",
      "doc": "The UTC day of the order as yyyymmdd: the key of dim_dates."
    },
    {
      "name": "quantity",
      "type": "int"
    },
    {
      "name": "amount",
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
      "name": "orderTs",
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
      }
    }
  ]
});
