// Three pipelines that leave behind everything that a release stores. The recorder runs them under release 0.1.0, so this
// file uses only what 0.1.0 offered; the test runs them under the release of this checkout. Settings play the outside:
// UPGRADE_CALLS=down lets calls for some keys fail, UPGRADE_MAX is the largest amount that a rule takes, UPGRADE_HALT=on
// halts the part behind the repartition topic at one shop, UPGRADE_BONUS=on is another rule of the sums.
import {
  avro,
  json,
  milliseconds,
  minutes,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Sale {
  readonly id: string;
  readonly shop: string;
  readonly amount: number;
  /** Event time, epoch ms. */
  readonly at: number;
}
export interface Ask {
  readonly id: string;
  readonly at: number;
}
interface Total {
  readonly shop: string;
  readonly total: number;
  readonly sales: number;
}

const amountMax = Number(process.env["UPGRADE_MAX"] ?? "2000");
const areCallsDown = process.env["UPGRADE_CALLS"] === "down";
const isHalting = process.env["UPGRADE_HALT"] === "on";
const bonus = process.env["UPGRADE_BONUS"] === "on" ? 1 : 0;

const record = (name: string, fields: Readonly<Record<string, "string" | "int" | "long">>) => ({
  type: "record" as const,
  name,
  namespace: "up",
  fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
});
const total = avro<Total>(record("Total", { shop: "string", total: "int", sales: "int" }));
const line = avro<{ id: string; shop: string; amount: number }>(
  record("Line", { id: "string", shop: "string", amount: "int" }),
);
const page = avro<{ page: string; visits: number }>(
  record("Page", { page: "string", visits: "int" }),
);

const shape = { key: string, partitions: 2, owner: "tests", retention: "forever" as const };
const timed = { ...shape, timestamp: ({ at }: { readonly at: number }) => at };
const ofJson = <V extends { readonly at: number }>(name: string): Topic<string, V> =>
  topic(name, { ...timed, value: json<V>() });

/** Keyed by till. */
export const sales: Topic<string, Sale> = ofJson("up.sales");
export const returns: Topic<string, Sale> = ofJson("up.returns");
export const asks: Topic<string, Ask> = ofJson("up.asks");
export const visits: Topic<string, Ask> = ofJson("up.visits");
export const tills: Topic<string, Sale> = ofJson("up.tills");

export const answered: Topic<string, Ask> = topic("up.answered", { ...shape, value: json<Ask>() });
export const seen: Topic<string, Ask> = topic("up.seen", { ...shape, value: json<Ask>() });
/** Keyed by shop. */
export const sums: Topic<string, Total> = topic("up.sums", { ...shape, value: total });
export const tillSums: Topic<string, Total> = topic("up.till-sums", { ...shape, value: total });

const totals = postgresTable("totals", { row: total, key: ["shop"], version: "sales" });
const lines = postgresTable("lines", { row: line, key: ["id"] });
const pages = postgresTable("pages", { row: page, key: ["page"], version: "visits" });
const tillTotals = postgresTable("till_totals", { row: total, key: ["shop"], version: "sales" });

const add = (sum: Total, sale: Sale): Total => ({
  shop: sale.shop,
  total: sum.total + sale.amount + (sale.shop === "shop-1" ? bonus : 0),
  sales: sum.sales + 1,
});
const summing = {
  value: json<Total>(),
  init: (shop: string): Total => ({ shop, total: 0, sales: 0 }),
  add,
};

/** Two sources that are merged; a store, a repartition topic, a topic of a table; and two streams beside them. */
export const shop: Pipeline = pipeline(
  "shop",
  { haltWhen: "never", redrivesMax: 5 },
  ({ from }) => {
    const all = from(sales)
      .merge("all", from(returns))
      .expect("amount-plausible", ({ amount }) => amount <= amountMax, { otherwise: "dead-letter" })
      .distinct("once", { by: ({ id }) => id, within: minutes(30) });
    all.map("as-line", ({ id, shop: by, amount }) => ({ id, shop: by, amount })).upsertInto(lines);
    all
      .rekey("by-shop", (sale) => sale.shop)
      .expect("shop-open", (sale) => !isHalting || sale.shop !== "shop-3", { otherwise: "halt" })
      .groupByKey()
      .aggregate("shop-total", summing)
      .to(sums);
    from(sums).upsertInto(totals);
    from(visits)
      .filter("human", ({ id }) => !id.startsWith("bot"))
      .to(seen);
    from(asks)
      .mapAsync("answer", call, {
        concurrency: 4,
        timeout: milliseconds(2_000),
        retry: {
          mode: "park-key",
          attempts: 1_000,
          backoff: { first: milliseconds(200), max: milliseconds(500) },
        },
      })
      .to(answered);
  },
);

async function call(ask: Ask, { record: { key } }: { readonly record: { readonly key: string } }) {
  if (areCallsDown && Number(key.slice(-1)) % 2 === 1) throw new Error("the service is down");
  return Promise.resolve(ask);
}

/** Sums by shop, whose tables a run of the reprocessor has replaced. */
export const till: Pipeline = pipeline("till", { haltWhen: "never" }, ({ from }) => {
  from(tills)
    .expect("till-amount", ({ amount }) => amount <= amountMax, { otherwise: "dead-letter" })
    .groupBy("till-shop", (sale) => sale.shop)
    .aggregate("till-total", summing)
    .to(tillSums);
  from(tillSums).upsertInto(tillTotals);
});

/** Counts of visits by page, begun anew by a reset, and read by a run that is not finished. */
export const paging: Pipeline = pipeline("paging", { haltWhen: "never" }, ({ from }) => {
  from(visits)
    .groupBy("by-page", ({ id }) => id.split("/")[0] ?? null)
    .count("visits")
    .map("as-page", (count, { key }) => ({ page: key, visits: count }))
    .upsertInto(pages);
});

export const pipelines = [shop, till, paging];
export const tables = [totals, lines, pages, tillTotals];
