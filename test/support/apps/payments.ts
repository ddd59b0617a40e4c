// Payments summed up by account through a repartition topic, and as rows through a table's own topic. TEST_VERSION 2 calls a
// field by another name, which an alias tells; TEST_MADE lets a step make the values. TEST_TOPICS goes before the names.
import {
  avro,
  json,
  minutes,
  pipeline,
  postgresTable,
  string,
  topic,
  type Pipeline,
  type Topic,
} from "#engine";

const prefix = process.env["TEST_TOPICS"] ?? "pay";
const isNew = process.env["TEST_VERSION"] === "2";
const isMade = process.env["TEST_MADE"] === "1";

export interface Payment {
  readonly id: string;
  readonly accountId?: string;
  readonly account?: string;
  readonly cents: number;
}

const account = isNew
  ? { name: "account", type: "string", aliases: ["accountId"] }
  : { name: "accountId", type: "string" };
const payment = avro<Payment>({
  type: "record",
  name: "Payment",
  fields: [{ name: "id", type: "string" }, account, { name: "cents", type: "int" }],
});
const shape = { key: string, partitions: 2, owner: "tests" };
export const payments: Topic<string, Payment> = topic(`${prefix}.payments`, {
  ...shape,
  value: payment,
});
export const paid: Topic<string, number> = topic(`${prefix}.paid`, {
  ...shape,
  value: json<number>(),
});
const rows = postgresTable("pay_rows", {
  row: avro<{ id: string; who: string }>({
    type: "record",
    name: "PayRow",
    fields: [
      { name: "id", type: "string" },
      { name: "who", type: "string" },
    ],
  }),
  key: ["id"],
});

const oldName = (p: Payment): string => p.accountId as string;
const newName = (p: Payment): string => p.account as string;
const nameOf = isNew ? newName : oldName;
const made: (p: Payment) => Payment = isNew
  ? ({ id, account: by, cents }: Payment) => ({ id, account: by as string, cents })
  : ({ id, accountId: by, cents }: Payment) => ({ id, accountId: by as string, cents });

export const paying: Pipeline = pipeline(prefix, { state: "memory" }, ({ from }) => {
  const all = from(payments);
  (isMade ? all.map("made", made) : all)
    .rekey("by-account", nameOf)
    .groupByKey()
    .sum("total", (p) => p.cents)
    .to(paid);
  all
    .distinct("once", { by: (p) => p.id, within: minutes(60) })
    .map("as-row", (p) => ({ id: p.id, who: nameOf(p) }))
    .upsertInto(rows);
});

export const pipelines = [paying];
export const tables = [rows];
