// Orphans beside the topics of the plans: their rows, and the stores that begin without the state of an earlier name.
import type { AdminPort } from "../../engine/core/kafka.ts";
import { startsEmpty } from "../../engine/core/plan-stores.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { Orphan } from "../../engine/operate/orphans/orphans.ts";
import type { TopicPlan } from "../../engine/provision/topics.ts";

/** As rows of the plan: nothing but `prune` does anything about them. */
export async function orphanRows(
  orphans: readonly Orphan[],
  admin: AdminPort,
): Promise<readonly TopicPlan[]> {
  const found = await admin.describeTopics(orphans.map(({ topic }) => topic));
  return orphans.map(({ topic, kind }) => ({
    ...{ topic, kind, partitions: found.get(topic)?.partitions ?? 0, state: "orphan" },
    ...{ creates: null, widens: null, config: [], registers: [], registered: [] },
    ...{ problems: [], limits: [], warnings: [] },
  }));
}

/** A changelog that is made while another one of its pipeline has lost its operator: the operator may have a new name. */
export const startingEmpty = (
  rows: readonly TopicPlan[],
  orphans: readonly Orphan[],
  plans: readonly Plan[],
): readonly TopicPlan[] =>
  rows.map((row) => {
    const owner = plans.find(({ parts }) =>
      parts.some(({ stores }) => stores.some(({ changelog }) => changelog.name === row.topic)),
    );
    const left = orphans.filter(
      ({ kind, plan }) => kind === "changelog" && plan.pipeline === owner?.pipeline,
    );
    if (row.creates === null || left.length === 0) return row;
    return { ...row, warnings: [...row.warnings, startsEmpty(left)] };
  });
