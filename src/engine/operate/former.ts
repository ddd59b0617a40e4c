// Progress that a part had under another name in an earlier version of the pipeline, as long as no worker of this version has
// taken it over: it is shown as the part's, and a reset that puts the part elsewhere takes it away.
import type { CommittedOffset } from "../core/kafka.ts";
import { formerGroups, mainGroup } from "../core/pieces.ts";
import type { Part, Plan } from "../core/plan.ts";
import type { GroupId, TopicPartition } from "../core/record.ts";
import { isPiece, startNote, type Notes } from "../notes/notes.ts";
import type { OperatePorts } from "./choice.ts";

export interface FormerOffset extends CommittedOffset {
  readonly group: GroupId;
}

/** Of those partitions of a part that have some. */
export async function formerOffsets(
  plan: Plan,
  {
    part,
    at,
    notes,
  }: { readonly part: Part; readonly at: readonly TopicPartition[]; notes: Notes },
  { admin }: Pick<OperatePorts, "admin">,
): Promise<readonly FormerOffset[]> {
  const main = mainGroup(part);
  const held = at
    .flatMap((one) => formerGroups(plan, part, one.topic).map((group) => ({ ...one, group })))
    .filter((one) => startNote(notes, one.group, one) !== null)
    .filter((one) => one.group === main || isPiece(notes, one.group, one));
  const found = [...Map.groupBy(held, ({ group }) => group)].map(async ([group, own]) => {
    const offsets = await admin.committed(group, own, { stable: true });
    return offsets.map((offset): FormerOffset => ({ ...offset, group }));
  });
  return (await Promise.all(found)).flat().filter(({ nextOffset }) => nextOffset !== null);
}

/** No worker has progress there any more. Throws FencedError while a group has members. */
export async function forgetFormer(
  offsets: readonly FormerOffset[],
  { admin }: Pick<OperatePorts, "admin">,
): Promise<void> {
  for (const [group, own] of Map.groupBy(offsets, (offset) => offset.group))
    await admin.commitOffsets(
      group,
      own.map(({ topic, partition, metadata }) => ({
        ...{ topic, partition, metadata },
        nextOffset: -1n,
      })),
    );
}
