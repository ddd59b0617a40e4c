// Orders with a price, into a topic and from there into a table by version: one that a rule may get wrong. TEST_FACTOR is
// the rule, TEST_TOPICS goes before the names.
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

export interface Bid {
  readonly id: string;
  readonly amount: number;
  readonly version: number;
}

const prefix = process.env["TEST_TOPICS"] ?? "priced";
const factor = Number(process.env["TEST_FACTOR"] ?? "1");
const priced = avro<Bid>({
  type: "record",
  name: "Priced",
  namespace: "priced",
  fields: [
    { name: "id", type: "string" },
    { name: "amount", type: "int" },
    { name: "version", type: "int" },
  ],
});

const shape = { key: string, partitions: 2, owner: "tests" };
export const bids: Topic<string, Bid> = topic(`${prefix}.bids`, { ...shape, value: json<Bid>() });
export const prices: Topic<string, Bid> = topic(`${prefix}.prices`, { ...shape, value: priced });
const priceRows = postgresTable("prices", { row: priced, key: ["id"], version: "version" });
const bidRows = postgresTable("bids", { row: priced, key: ["id"], version: "version" });

export const pricing: Pipeline = pipeline(prefix, ({ from }) => {
  from(bids)
    .expect("positive", (bid) => bid.amount >= 0, { otherwise: "dead-letter" })
    .map("price", (bid) => ({ ...bid, amount: bid.amount * factor }))
    .to(prices);
  from(prices).upsertInto(priceRows);
  // Straight from outside: its offsets are the live ones.
  from(bids)
    .filter("not-negative", (bid) => bid.amount >= 0)
    .map("as-bid", (bid) => ({ ...bid, amount: bid.amount + factor }))
    .upsertInto(bidRows);
});

export const pipelines = [pricing];
export const tables = [priceRows, bidRows];
