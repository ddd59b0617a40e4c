// Sums of a topic by key, through a repartition topic, to a topic and from there into a table. TEST_TOPICS goes before the
// names, so that two runs never meet on one stack; TEST_BONUS names a shop whose sales count one more: another rule.
import {
  avro,
  json,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Sale {
  readonly shop: string;
  readonly amount: number;
}
export interface Total {
  readonly shop: string;
  readonly total: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "totals";
const bonus = process.env["TEST_BONUS"];
const total = avro<Total>({
  type: "record",
  name: "Total",
  namespace: "totals",
  fields: [
    { name: "shop", type: "string" },
    { name: "total", type: "int" },
  ],
});

const shape = { key: string, partitions: 2, owner: "tests" };
/** Keyed by till. */
export const sales: Topic<string, Sale> = topic(`${prefix}.sales`, {
  ...shape,
  value: json<Sale>(),
});
/** Keyed by shop. */
export const totals: Topic<string, Total> = topic(`${prefix}.totals`, { ...shape, value: total });
const totalRows = postgresTable("totals", { row: total, key: ["shop"] });

export const summing: Pipeline = pipeline(prefix, ({ from }) => {
  from(sales)
    .groupBy("by-shop", (sale) => sale.shop)
    .sum("shop-total", ({ shop, amount }) => amount + (shop === bonus ? 1 : 0))
    .map("as-total", (sum, { key }) => ({ shop: key, total: sum }))
    .to(totals);
  from(totals).upsertInto(totalRows);
});

export const pipelines = [summing];
export const tables = [totalRows];
