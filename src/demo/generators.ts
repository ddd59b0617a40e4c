// The generators by name, as `millrace produce --generate` knows them. Seeded: the same options give the same
// records, so whatever is made of them can be checked to the last one.
import { orders } from "../../topics/orders.ts";
import { customers } from "../../topics/customers.ts";
import { products } from "../../topics/products.ts";
import { transactions } from "../../topics/retail.ts";
import { CUSTOMERS, PRODUCTS, generateCustomers, generateProducts } from "./catalogue.ts";
import type { GeneratedRecord } from "./generated-record.ts";
import { generateOrders, type OrderOptions } from "./orders.ts";
import { POISON_KINDS } from "./poison.ts";
import { generateRetail } from "./retail.ts";

/** The options of orders; all of them are required except the clock. */
export type GeneratorOptions = Required<Omit<OrderOptions, "now">> & Pick<OrderOptions, "now">;

export interface Generator {
  /** The topic whose schema it fits. */
  readonly topic: string;
  readonly count: number;
  /** Whether updates, repeats and poison mean something to it. */
  readonly hasAnomalies: boolean;
  records(options: GeneratorOptions): Iterable<GeneratedRecord>;
}

export const generators: Readonly<Record<string, Generator>> = {
  orders: {
    topic: orders.name,
    count: 10_000,
    hasAnomalies: true,
    records: generateOrders,
  },
  customers: {
    topic: customers.name,
    count: CUSTOMERS,
    hasAnomalies: false,
    records: ({ seed, count }) => generateCustomers(seed, count),
  },
  products: {
    topic: products.name,
    count: PRODUCTS,
    hasAnomalies: false,
    records: ({ seed, count }) => generateProducts(seed, count),
  },
  retail: {
    topic: transactions.name,
    count: 10_000,
    hasAnomalies: false,
    records: generateRetail,
  },
};

/** The number of records that a generator yields in all. */
export const totalOf = (options: GeneratorOptions): number =>
  options.count + options.updates + options.repeats + options.poison * POISON_KINDS.length;
