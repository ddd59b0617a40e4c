// Workload "tumbling": payments of an account and minute, counted when the minute is closed.
import { pipeline, tumbling } from "#engine";
import { output } from "./payments.ts";
import { ms, timedPayments, TUMBLING, type Counted } from "./windows.ts";

export const pipelines = [
  pipeline("tumbling", ({ from }) => {
    from(timedPayments)
      .groupByKey()
      .windowedBy(tumbling({ size: ms(TUMBLING.sizeMs), grace: ms(TUMBLING.graceMs) }))
      .count("payments", { emit: "close" })
      .toStream("row", (count, { start }): Counted => ({ from: Number(start), count }))
      .to(output<Counted>());
  }),
];
export const tables = [];
