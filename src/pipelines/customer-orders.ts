// Customer orders: checked, normalised and without exact repeats into orders.clean, and from there into a star schema.
import { days, pipeline } from "#engine";
import {
  cleanOrders,
  isOrderStatus,
  type CleanOrder,
  type OrderStatus,
} from "../../topics/clean-orders.ts";
import { customers } from "../../topics/customers.ts";
import { orders, type Order } from "../../topics/orders.ts";
import { products } from "../../topics/products.ts";
import { UNKNOWN_CUSTOMER, dimCustomers } from "../tables/dim-customers.ts";
import { dateIdOf } from "../tables/dim-dates.ts";
import { dimProducts } from "../tables/dim-products.ts";
import { factOrders, type FactOrder } from "../tables/fact-orders.ts";

/** Cleans customer orders and fills the star schema around fact_orders. */
export const customerOrders = pipeline("customer-orders", ({ from }) => {
  from(orders)
    .expect("amount-not-negative", (o) => o.totalAmount.gte(0n), {
      otherwise: "dead-letter",
      dimension: "accuracy",
    })
    .expect("customer-present", (o) => o.customerId !== null, {
      otherwise: "log",
      dimension: "completeness",
    })
    .map("normalise", normalise)
    .expect("status-known", hasKnownStatus, { otherwise: "dead-letter", dimension: "consistency" })
    .distinct("exact-repeats", { by: (o) => [o.orderId, o.updatedAt], within: days(7) })
    .to(cleanOrders);

  from(cleanOrders).map("fact-row", toFactOrder).upsertInto(factOrders);
  from(customers).upsertInto(dimCustomers);
  from(products).upsertInto(dimProducts);
});

interface NormalOrder extends Order {
  readonly customerId: string;
}
interface ValidOrder extends NormalOrder {
  readonly status: OrderStatus;
}

/** A missing customer becomes the unknown member; a status loses its casing and spaces. */
export const normalise = (o: Order): NormalOrder => ({
  ...o,
  customerId: o.customerId ?? UNKNOWN_CUSTOMER,
  status: o.status.trim().toLowerCase(),
});

const hasKnownStatus = (o: NormalOrder): o is ValidOrder => isOrderStatus(o.status);

/** The row of an order, with the day that it was placed on. */
export const toFactOrder = ({ totalAmount, orderDate, ...o }: CleanOrder): FactOrder => ({
  ...o,
  amount: totalAmount,
  orderTs: orderDate,
  dateId: dateIdOf(orderDate),
});
