// The partitions whose lag is measured, by part and group.
import type { Part, Plan } from "../../core/plan.ts";
import type { GroupId } from "../../core/record.ts";
import type { TaskAddress } from "../health.ts";

/** A partition of a part, and its committed progress where a task of this worker knows it. */
export interface LagPlace extends TaskAddress {
  readonly group: GroupId;
  readonly committed: bigint | null;
}

/** Every partition that the part reads. */
export const allPlaces = ({ pipeline }: Plan, { name, group, sources }: Part): LagPlace[] =>
  sources.flatMap(({ name: topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({
      ...{ pipeline, part: name, group, topic, partition, committed: null },
    })),
  );
