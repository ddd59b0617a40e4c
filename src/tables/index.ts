// Every declared table, also those that no pipeline fills: `millrace tables apply` makes them.
import { dimCustomers } from "./dim-customers.ts";
import { dimDates } from "./dim-dates.ts";
import { dimProducts } from "./dim-products.ts";
import { factOrders } from "./fact-orders.ts";
import { retailLines } from "./retail-lines.ts";

export const tables = [dimCustomers, dimDates, dimProducts, factOrders, retailLines];
