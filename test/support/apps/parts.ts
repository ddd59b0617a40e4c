// A flow of four parts: two topics of card and cash payments are merged, checked and keyed anew by account; behind the
// repartition topic they go to a topic, to a table of their own (through its `-sink` topic) and, from the topic, into
// another table. TEST_TOPICS goes before the names of topics and tables, so that two runs never meet on one stack.
import { avro, json, pipeline, postgresTable, string, topic, type Topic } from "#engine";

export interface Payment {
  /** Counts up within an account, over both topics. */
  readonly seq: number;
  readonly account: string;
  readonly amount: number;
  readonly kind: "card" | "cash";
}

const prefix = process.env["TEST_TOPICS"] ?? "parts";
const named = (name: string): string => `${prefix}.${name}`;
const shape = { key: string, value: json<Payment>(), partitions: 4, owner: "tests" };
export const PARTITIONS: number = shape.partitions;

/** Keyed by terminal; an account pays at many. */
export const cards: Topic<string, Payment> = topic(named("cards"), shape);
export const cash: Topic<string, Payment> = topic(named("cash"), shape);
/** Keyed by account. */
export const byAccount: Topic<string, Payment> = topic(named("by-account"), shape);

const payment = avro<Payment>({
  type: "record",
  name: "Payment",
  namespace: "parts",
  fields: [
    { name: "seq", type: "int" },
    { name: "account", type: "string" },
    { name: "amount", type: "int" },
    { name: "kind", type: { type: "enum", name: "Kind", symbols: ["card", "cash"] } },
  ],
});
/** Big payments, behind the repartition: a stream part feeds it. */
const bigPayments = postgresTable("big_payments", { row: payment, key: ["account", "seq"] });
/** Every payment, read from the topic. */
const payments = postgresTable("payments", { row: payment, key: ["account", "seq"] });

export const parts = pipeline(prefix, { haltWhen: "never" }, ({ from }) => {
  const keyed = from(cards)
    .merge("all-payments", from(cash))
    .expect("amount-positive", (p) => p.amount > 0, { otherwise: "dead-letter" })
    .filter("account-not-closed", (p) => !p.account.endsWith("-closed"))
    .rekey("account", (p) => (p.account === "" ? null : p.account));
  keyed
    .filter("is-big", (p) => p.amount >= 90)
    .map("as-row", (p) => ({ ...p }))
    .upsertInto(bigPayments);
  // Behind the other branch: a record that breaks the rule has already been written there, and must be withdrawn.
  keyed.expect("amount-sane", (p) => p.amount < 1_000, { otherwise: "dead-letter" }).to(byAccount);
  from(byAccount).upsertInto(payments);
});

export const pipelines = [parts];
export const tables = [bigPayments, payments];
