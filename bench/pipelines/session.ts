// Workload "session": payments of an account that are at most 10 s apart, counted when no further one can come.
import { pipeline, session } from "#engine";
import { output } from "./payments.ts";
import { ms, SESSION, timedPayments, type Counted } from "./windows.ts";

export const pipelines = [
  pipeline("session", ({ from }) => {
    from(timedPayments)
      .groupByKey()
      .windowedBy(session({ gap: ms(SESSION.gapMs), grace: ms(SESSION.graceMs) }))
      .count("payments", { emit: "close" })
      .toStream("row", (count, { start }): Counted => ({ from: Number(start), count }))
      .to(output<Counted>());
  }),
];
export const tables = [];
