// `millrace reprocess …`: a pipeline over a range of what it has read, beside the live one.
import type { PlansOf } from "../connection.ts";
import type { Register } from "../io.ts";
import { planNamed } from "../../engine/operate/choice.ts";
import { onRuns, type ConnectReprocess, type OnRunsOf } from "./connection.ts";
import { dropVerb } from "../promote/drop.ts";
import { promoteVerb } from "../promote/promote.ts";
import { undoVerb } from "../promote/undo.ts";
import { verifyVerb } from "../promote/verify.ts";
import { planVerb } from "./plan.ts";
import { runVerb } from "./run.ts";
import { showVerbs } from "./show.ts";

export const reprocessVerb =
  (connect: ConnectReprocess, plans: PlansOf): Register =>
  (program, run) => {
    const group = program
      .command("reprocess")
      .description("run a pipeline over a range again, compare, promote, undo");
    const verbs = [planVerb, runVerb, showVerbs, verifyVerb, promoteVerb, undoVerb, dropVerb];
    const all = onRuns(connect, plans, run);
    const within: OnRunsOf = (name, work) => all((at) => work(at, planNamed(at.plans, name)));
    for (const verb of verbs) verb(group, within, all);
  };
