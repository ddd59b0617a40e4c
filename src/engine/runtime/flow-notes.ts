// The note of a pipeline about the way of records through it, for pipelines that read what it writes (I4): made where a
// declaration says that a topic is written by it, and missed where it was not made.
import {
  flowStepsOf,
  isFollowed,
  pathTo,
  type FlowStep,
  type UnnotedWriter,
} from "../core/flow-steps.ts";
import type { AdminPort, KafkaPort } from "../core/kafka.ts";
import type { Plan } from "../core/plan.ts";
import type { TopicName } from "../core/record.ts";
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

interface NotePorts {
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly admin: Pick<AdminPort, "watermarks" | "describeTopics">;
}

/** A source of a pipeline that is never quiet, since nobody knows how its topic is written. */
export interface UnnotedSource {
  readonly source: TopicName;
  readonly writer: UnnotedWriter;
}

/** Sources that say which pipeline writes them, where it, or one further up, has not noted how (docs/time.md). A run has no idleness. */
export async function unnotedSources(plan: Plan, ports: NotePorts): Promise<UnnotedSource[]> {
  if (plan.runOf !== undefined) return [];
  const stepsOf = (pipeline: string): Promise<readonly FlowStep[] | null> =>
    pipeline === plan.pipeline
      ? Promise.resolve(flowStepsOf(plan))
      : notedSteps(`${plan.namespace}${pipeline}-meta`, ports);
  const found: UnnotedSource[] = [];
  for (const { name, writtenBy, idleAfterMs } of plan.parts.flatMap(({ sources }) => sources)) {
    if (writtenBy === undefined || idleAfterMs === undefined) continue;
    const path = await pathTo({ topic: name, pipeline: writtenBy }, stepsOf);
    if (!("steps" in path)) found.push({ source: name, writer: path });
  }
  return found;
}

async function notedSteps(meta: TopicName, ports: NotePorts): Promise<readonly FlowStep[] | null> {
  const topic = (await ports.admin.describeTopics([meta])).get(meta) ?? null;
  return topic === null ? null : flowNote(await readNotes(ports, meta));
}
