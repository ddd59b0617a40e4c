// Two versions of a pipeline of payments: the second calls a field by another name, which an alias in its schema tells.
import { avro, json, postgresTable, string, topic, type PostgresTable, type Topic } from "#engine";
import type { Plan } from "../../src/engine/core/plan.ts";
import type { OutRecord } from "../../src/engine/core/record.ts";
import { subjectOf } from "../../src/engine/core/schema.ts";
import { compileCodec } from "../../src/engine/decode/codec.ts";
import type { Fleet } from "./fleet.ts";

export interface OldPayment {
  readonly id: string;
  readonly accountId: string;
  readonly cents: number;
}
export interface Payment {
  readonly id: string;
  readonly account: string;
  readonly cents: number;
}

const schemaOf = (...fields: readonly object[]): { type: string; [field: string]: unknown } => ({
  type: "record",
  name: "Payment",
  fields: [{ name: "id", type: "string" }, ...fields, { name: "cents", type: "int" }],
});
export const oldSchema = schemaOf({ name: "accountId", type: "string" });
export const newSchema = schemaOf({ name: "account", type: "string", aliases: ["accountId"] });

const shared = { key: string, partitions: 2, owner: "tests" };
export const oldPayments: Topic<string, OldPayment> = topic("payments", {
  ...shared,
  value: avro<OldPayment>(oldSchema),
});
export const payments: Topic<string, Payment> = topic("payments", {
  ...shared,
  value: avro<Payment>(newSchema),
});
export const paid: Topic<string, number> = topic("paid", { ...shared, value: json<number>() });

const row = {
  type: "record",
  name: "Row",
  fields: [
    { name: "id", type: "string" },
    { name: "account", type: "string" },
  ],
};
export interface Row {
  readonly id: string;
  readonly account: string;
}
export const rows: PostgresTable<Row> = postgresTable<Row>("paid_rows", {
  row: avro<Row>(row),
  key: ["id"],
});

/** The plan with these parts only, as for a worker that is kept from the others. */
export const only = (plan: Plan, ...parts: readonly string[]): Plan => ({
  ...plan,
  parts: plan.parts.filter(({ name }) => parts.includes(name)),
});

/** Registers the schema of a version and returns records as its producers write them. */
export async function writtenBy<V>(
  fleet: Fleet,
  { name, value }: Topic<string, V>,
  values: readonly (V & { readonly id: string })[],
): Promise<OutRecord[]> {
  const { format } = value;
  const text = format.kind === "avro" ? JSON.stringify(format.schema) : "";
  const writerId = await fleet.registry.register(subjectOf(name, "value"), text);
  const codec = compileCodec(format, { schemas: { get: () => undefined }, writerId });
  return values.map((one, i) => ({
    topic: name,
    partition: i % 2,
    key: Buffer.from(one.id),
    value: codec.encode(one),
    headers: [],
    timestamp: fleet.clock.now() + i,
  }));
}

export const sixOld: readonly OldPayment[] = Array.from({ length: 6 }, (_, i) => ({
  id: `p${String(i)}`,
  accountId: i % 2 === 0 ? "a" : "b",
  cents: 100 + i,
}));
