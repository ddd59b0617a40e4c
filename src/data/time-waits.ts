// The partitions for whose times operators wait, as anyone can see it from outside: by the committed progress of every task.
import type { AdminPort, KafkaPort } from "../engine/core/kafka.ts";
import type { Part, Plan } from "../engine/core/plan.ts";
import type { StoredTimes } from "../engine/core/said-times.ts";
import { CommittedWaits, waitsForTime, type FoundWait } from "../engine/core/time-waits.ts";
import { withAdmin } from "./with-admin.ts";

export type PlanWait = FoundWait & { readonly pipeline: string };

/** In the order of plans and operators; empty where no operator asks for time. */
export async function timeWaitsOf(
  plans: readonly Plan[],
  kafka: KafkaPort,
): Promise<readonly PlanWait[]> {
  const timed = plans.filter(({ parts }) => parts.some(waitsForTime));
  if (timed.length === 0) return [];
  return withAdmin(kafka, async (admin) => {
    const found = await Promise.all(timed.map((plan) => waitsIn(plan, admin)));
    return found.flat();
  });
}

async function waitsIn({ pipeline, parts }: Plan, admin: AdminPort): Promise<PlanWait[]> {
  const streams = parts.filter(({ table }) => table === null);
  const stored = await Promise.all(streams.map((part) => storedTimes(part, admin)));
  const waits = new CommittedWaits(streams, stored.flat()).all();
  return waits.map((wait) => ({ pipeline, ...wait }));
}

async function storedTimes(
  { name, group, sources }: Part,
  admin: AdminPort,
): Promise<StoredTimes[]> {
  const places = sources.flatMap(({ name: topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })),
  );
  const found = await admin.committed(group, places, { stable: false });
  return found.map(({ topic, partition, metadata }) => ({
    part: name,
    topic,
    partition,
    metadata,
  }));
}
