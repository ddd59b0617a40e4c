// The pipelines that `millrace run` knows. A new one is one line here.
import { customerOrders } from "./customer-orders.ts";
import { valueOfCustomers } from "./customer-value.ts";
import { basketsAndHours } from "./retail-baskets.ts";
import { retailSpend } from "./retail-spend.ts";
import { retail } from "./retail.ts";

export const pipelines = [customerOrders, valueOfCustomers, retail, retailSpend, basketsAndHours];
