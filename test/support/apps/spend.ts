// Two pipelines over one topic of grocery lines: what each household has spent, which has state, and the lines that gave
// money back, which has none. TEST_TOPICS goes before the names, so that two runs never meet on one stack.
import {
  avro,
  pipeline,
  postgresTable,
  string,
  topic,
  type Decimal,
  type Pipeline,
  type Topic,
} from "#engine";

export interface Line {
  readonly household: string;
  readonly amount: Decimal;
}

export interface Spend {
  readonly household: string;
  readonly spend: Decimal;
}

const prefix = process.env["TEST_TOPICS"] ?? "spend";
const named = (name: string): string => `${prefix}.${name}`;

const schemaOf = (name: string, amount: string, precision: number) => ({
  type: "record",
  name,
  namespace: "spend",
  fields: [
    { name: "household", type: "string" },
    { name: amount, type: { type: "bytes", logicalType: "decimal", precision, scale: 2 } },
  ],
});
const line = avro<Line>(schemaOf("Line", "amount", 12));
const spend = avro<Spend>(schemaOf("Spend", "spend", 16));

const shape = { key: string, partitions: 4, owner: "tests" };
export const PARTITIONS: number = shape.partitions;
export const lines: Topic<string, Line> = topic(named("lines"), { ...shape, value: line });
/** Every change of a sum. */
export const spends: Topic<string, Spend> = topic(named("by-household"), {
  ...shape,
  value: spend,
  retention: "forever",
  compacted: true,
});
export const refunds: Topic<string, Line> = topic(named("refunds"), { ...shape, value: line });

const spendRows = postgresTable("household_spends", { row: spend, key: ["household"] });

export const STORE = "by-household-sum";

export const spending: Pipeline = pipeline(prefix, ({ from }) => {
  from(lines)
    .groupByKey()
    .sum(STORE, ({ amount }) => amount)
    .map("spend", (sum, { key }) => ({ household: key, spend: sum }))
    .to(spends);
  from(spends).upsertInto(spendRows);
});

export const refunding: Pipeline = pipeline(`${prefix}-refunds`, ({ from }) => {
  from(lines)
    .filter("money-back", ({ amount }) => amount.lt(0n))
    .to(refunds);
});

export const pipelines: readonly Pipeline[] = [spending, refunding];
export const tables = [spendRows];
