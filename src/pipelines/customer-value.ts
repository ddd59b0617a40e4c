// Customer value: clean orders summed up by customer, into customer.value and the table customer_value.
import { days, decimal, pipeline } from "#engine";
import { cleanOrders, type CleanOrder } from "../../topics/clean-orders.ts";
import { customerValue, customerValues, type CustomerValue } from "../../topics/customer-values.ts";
import { customerValueTable, type CustomerValueRow } from "../tables/customer-value.ts";

/** What each customer is worth: an order counts once, as first seen, unless it is cancelled then. */
export const valueOfCustomers = pipeline("customer-value", ({ from }) => {
  const values = from(cleanOrders)
    .filter("not-cancelled", (o) => o.status !== "cancelled")
    .distinct("first-seen", { by: (o) => o.orderId, within: days(365) })
    .groupBy("by-customer", (o) => o.customerId)
    .aggregate("value", { value: customerValue, init: noOrders, add: addOrder });
  values.to(customerValues);
  values.map("row", toRow).upsertInto(customerValueTable);
});

const noOrders = (customerId: string): CustomerValue => ({
  customerId,
  totalRevenue: decimal("0"),
  orderCount: 0,
  firstOrder: Number.MAX_SAFE_INTEGER,
  lastOrder: Number.MIN_SAFE_INTEGER,
});

/** One order more. */
export const addOrder = (value: CustomerValue, order: CleanOrder): CustomerValue => ({
  customerId: value.customerId,
  totalRevenue: value.totalRevenue.plus(order.totalAmount),
  orderCount: value.orderCount + 1,
  firstOrder: Math.min(value.firstOrder, order.orderDate),
  lastOrder: Math.max(value.lastOrder, order.orderDate),
});

/** Revenue a month is exact to the cent; there is none before a month has passed. */
export function toRow(value: CustomerValue): CustomerValueRow {
  const { customerId, totalRevenue, orderCount, firstOrder, lastOrder } = value;
  const monthsActive = wholeMonths(new Date(firstOrder), new Date(lastOrder));
  const monthlyLtv = monthsActive === 0 ? null : totalRevenue.div(BigInt(monthsActive)).round(2);
  return { customerId, totalRevenue, orderCount, monthsActive, monthlyLtv };
}

/** From one UTC day to the same day of a later month: 31 January to 28 February is none yet. */
function wholeMonths(from: Date, to: Date): number {
  const years = to.getUTCFullYear() - from.getUTCFullYear();
  const months = years * 12 + to.getUTCMonth() - from.getUTCMonth();
  return to.getUTCDate() < from.getUTCDate() ? months - 1 : months;
}
