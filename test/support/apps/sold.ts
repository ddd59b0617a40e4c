// Windows behind a topic between parts whose source is waited for however long it is silent. TEST_TOPICS goes before the names.
import {
  json,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Sale {
  readonly shop: string;
}
const prefix = process.env["TEST_TOPICS"] ?? "sold";

export const sales: Topic<string, Sale> = topic(`${prefix}.sales`, {
  ...{ key: string, value: json<Sale>(), partitions: 3, owner: "tests" },
  idleAfter: "never",
});
const counts = topic(`${prefix}.counts`, {
  ...{ key: string, value: json<number>(), partitions: 1, owner: "tests" },
});

export const sold: Pipeline = pipeline(prefix, ({ from }) => {
  from(sales)
    .groupBy("by-shop", ({ shop }) => shop)
    .windowedBy(tumbling({ size: seconds(1), grace: seconds(0) }))
    .count("sold", { emit: "close" })
    .toStream("row", (n) => n)
    .to(counts);
});

export const pipelines = [sold];
export const tables = [];
