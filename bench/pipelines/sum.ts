// Workload "sum": one sum a key, in Redis and its changelog. It tells the last sum of a key and checkpoint, as Kafka
// Streams' record cache does.
import { pipeline } from "#engine";
import { output, payments } from "./payments.ts";

export const pipelines = [
  pipeline("sum", ({ from }) => {
    from(payments)
      .groupByKey()
      .sum("spent", (payment) => payment.amount, { emit: "checkpoint" })
      .to(output<number>());
  }),
];
export const tables = [];
