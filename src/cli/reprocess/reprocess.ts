// `millrace reprocess …`: a pipeline over a range of what it has read, beside the live one.
import type { PlansOf } from "../connection.ts";
import type { Register } from "../io.ts";
import type { ConnectReprocess } from "./connection.ts";
import { planVerb } from "./plan.ts";
import { runVerb } from "./run.ts";
import { showVerbs } from "./show.ts";

export const reprocessVerb =
  (connect: ConnectReprocess, plans: PlansOf): Register =>
  (program, run) => {
    const group = program
      .command("reprocess")
      .description("run a pipeline over a range again: plan, run, status, cancel, list");
    for (const verb of [planVerb, runVerb, showVerbs]) verb(connect, plans)(group, run);
  };
