// The positions of the live pipeline's tasks, with what travels beside them, so that each can be put there again.
import type { Plan } from "../../core/plan.ts";
import { readProgress } from "../../core/progress.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { topicsBetweenParts } from "../../operate/gate/drained.ts";
import type { LivePosition } from "../words/steps.ts";

/** Null where a task has never begun. Exact once no group has a member. */
export async function livePositions(
  plan: Plan,
  ports: OperatePorts,
): Promise<readonly (LivePosition | null)[]> {
  const own = topicsBetweenParts(plan);
  const progress = await readProgress(plan, ports);
  return progress.map(({ part, topic, partition, nextOffset, metadata, ledger: counts }) => {
    if (nextOffset === null) return null;
    const ledger = metadata === null ? counts : null;
    return { part, topic, partition, nextOffset, isForeign: !own.has(topic), metadata, ledger };
  });
}
