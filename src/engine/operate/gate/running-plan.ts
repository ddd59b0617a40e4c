// The plan of a pipeline as its workers run it: on the stores that its notes name.
import type { Plan } from "../../core/plan.ts";
import { withStores } from "../../core/plan-stores.ts";
import { storesNote } from "../../notes/gate-note.ts";
import type { OperatePorts } from "../choice.ts";
import { readNotes } from "../../notes/notes.ts";

type PlanPorts = Pick<OperatePorts, "kafka" | "admin">;

/** As declared while nothing of the pipeline has been made yet, or when it has no stores. */
export async function runningPlan(plan: Plan, ports: PlanPorts): Promise<Plan> {
  if (plan.parts.every((part) => part.stores.length === 0)) return plan;
  const found = await ports.admin.describeTopics([plan.meta]);
  if ((found.get(plan.meta) ?? null) === null) return plan;
  return withStores(plan, storesNote(plan, await readNotes(ports, plan.meta)));
}

export const runningPlans = (plans: readonly Plan[], ports: PlanPorts): Promise<readonly Plan[]> =>
  Promise.all(plans.map((plan) => runningPlan(plan, ports)));
