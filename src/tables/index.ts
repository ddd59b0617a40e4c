// Every declared table, also those that no pipeline fills: `millrace tables apply` makes them.
import { customerValueTable } from "./customer-value.ts";
import { departmentSpends } from "./department-spend.ts";
import { dimCustomers } from "./dim-customers.ts";
import { dimDates } from "./dim-dates.ts";
import { dimProducts } from "./dim-products.ts";
import { factOrders } from "./fact-orders.ts";
import { householdSpends } from "./household-spend.ts";
import { retailBaskets } from "./retail-baskets.ts";
import { retailLines } from "./retail-lines.ts";
import { storeHours } from "./store-hours.ts";

export const tables = [
  dimCustomers,
  dimDates,
  dimProducts,
  factOrders,
  customerValueTable,
  retailLines,
  householdSpends,
  departmentSpends,
  retailBaskets,
  storeHours,
];
