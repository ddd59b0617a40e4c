// Workload "map": each record is read, changed and written.
import { pipeline } from "#engine";
import { output, payments, totalOf, type Total } from "./payments.ts";

export const pipelines = [
  pipeline("map", ({ from }) => {
    from(payments).map("with-total", totalOf).to(output<Total>());
  }),
];
export const tables = [];
