// The note of a pipeline about the way of records through it, for pipelines that read what it writes (I4): made where a
// declaration says that a topic is written by it.
import { flowStepsOf, isFollowed } from "../core/flow-steps.ts";
import type { AdminPort, KafkaPort } from "../core/kafka.ts";
import type { Plan } from "../core/plan.ts";
import { sendOnce } from "../core/send-once.ts";
import { flowNote, flowRecord, readNotes } from "../notes/notes.ts";

interface FlowPorts {
  readonly kafka: Pick<KafkaPort, "reader" | "producer">;
  readonly admin: Pick<AdminPort, "watermarks">;
}

/** Notes the flow of each plan that others follow, where it is another one than was noted. */
export async function noteFlows(plans: readonly Plan[], ports: FlowPorts): Promise<void> {
  for (const plan of plans) {
    if (!isFollowed(plan) || plan.runOf !== undefined) continue;
    const steps = flowStepsOf(plan);
    const noted = flowNote(await readNotes(ports, plan.meta));
    if (JSON.stringify(noted) === JSON.stringify(steps)) continue;
    await sendOnce(ports.kafka, [flowRecord(plan.meta, steps)]);
  }
}
