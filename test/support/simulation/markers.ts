// The watermarks that parts say to those behind them: in the end, every reader has heard of each of its channels what the
// progress of the task that writes it says, as far as it closes something behind.
import { markIsDue } from "../../../src/engine/core/close-points.ts";
import type { AdminPort } from "../../../src/engine/core/kafka.ts";
import type { Part, Plan, PlanNode } from "../../../src/engine/core/plan.ts";
import type { TopicName } from "../../../src/engine/core/record.ts";
import { decodeMetadata } from "../../../src/engine/core/task-inputs.ts";

/** Watermarks that a reader has not heard of yet. */
export async function areMarkersMissing(plan: Plan, admin: AdminPort): Promise<boolean> {
  for (const reader of plan.parts)
    for (const { name, channels, closePoints } of reader.sources) {
      if (channels === undefined) continue;
      const wanted = await saidTo(plan, name, admin);
      for (let partition = 0; partition < reader.partitions; partition++) {
        const { channels: heard = [] } = await timeOf(reader, name, partition, admin);
        const isDue = (watermark: number, at: number): boolean =>
          markIsDue(closePoints, heard[at] ?? -Infinity, watermark);
        if (wanted.some(isDue)) return true;
      }
    }
  return false;
}

/** By the progress of the tasks that write the topic. */
async function saidTo({ parts }: Plan, topic: TopicName, admin: AdminPort): Promise<number[]> {
  const writes = ({ facts, operation }: PlanNode): boolean =>
    facts.writes === "repartition" && operation.topic?.name === topic;
  const writer = parts.find(({ nodes }) => nodes.some(writes)) as Part;
  const sources = sourcesOf(writer, writer.nodes.find(writes) as PlanNode);
  const tasks = Array.from({ length: writer.partitions }, async (_, partition) => {
    const times = sources.map(async (source) => {
      const time = await timeOf(writer, source, partition, admin);
      if (time.channels !== undefined) return Math.min(...time.channels);
      return Math.max(time.time ?? -Infinity, time.asserted ?? -Infinity);
    });
    return Math.min(...(await Promise.all(times)));
  });
  return Promise.all(tasks);
}

function sourcesOf({ nodes }: Part, { inputs, operation, facts }: PlanNode): TopicName[] {
  if (facts.reads === true && operation.topic !== undefined) return [operation.topic.name];
  const above = nodes.filter(({ id }) => inputs.includes(id));
  return above.flatMap((node) => sourcesOf({ nodes } as Part, node));
}

async function timeOf(part: Part, topic: TopicName, partition: number, admin: AdminPort) {
  const [at] = await admin.committed(part.group, [{ topic, partition }], { stable: false });
  return decodeMetadata(at?.metadata ?? "")?.time ?? {};
}
