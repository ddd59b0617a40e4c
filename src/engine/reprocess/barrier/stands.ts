// Where every task of the live pipeline stands, with what travels beside its progress, so that it can be put there again.
import type { Part, Plan, PlanTable } from "../../core/plan.ts";
import { addressOf, type TopicPartition } from "../../core/record.ts";
import type { OperatePorts } from "../../operate/choice.ts";
import { ownTopics } from "../../operate/gate/drained.ts";
import type { Stand } from "../words/steps.ts";

/** Null where a task has never begun. Exact once no group has a member. */
export async function standsOf(
  plan: Plan,
  ports: OperatePorts,
): Promise<readonly (Stand | null)[]> {
  const own = ownTopics(plan);
  const found = plan.parts.map((part) => {
    const at = placesOf(part);
    const isForeign = ({ topic }: TopicPartition): boolean => !own.has(topic);
    return part.table === null
      ? ofStream(part, { at, isForeign }, ports)
      : ofTable(plan, part, { at, isForeign, ports, table: part.table });
  });
  return (await Promise.all(found)).flat();
}

const placesOf = (part: Part): readonly TopicPartition[] =>
  part.sources.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  );

interface Asked {
  readonly at: readonly TopicPartition[];
  isForeign(at: TopicPartition): boolean;
}

async function ofStream(
  { group, name }: Part,
  { at, isForeign }: Asked,
  { admin }: OperatePorts,
): Promise<readonly (Stand | null)[]> {
  const committed = await admin.committed(group, at, { stable: true });
  return committed.map(({ topic, partition, nextOffset, metadata }) => {
    if (nextOffset === null) return null;
    const known = { part: name, topic, partition, nextOffset };
    return { ...known, isForeign: isForeign({ topic, partition }), metadata, ledger: null };
  });
}

async function ofTable(
  { pipeline }: Plan,
  { name: part }: Part,
  asked: Asked & { readonly ports: OperatePorts; readonly table: PlanTable },
): Promise<readonly (Stand | null)[]> {
  const store = asked.ports.tableStore(asked.table);
  return Promise.all(
    asked.at.map(async ({ topic, partition }) => {
      const row = await store.progress({ pipeline, part, topic, partition });
      if (row === null) return null;
      const { nextOffset, ledger } = row;
      const isForeign = asked.isForeign({ topic, partition });
      return { part, topic, partition, nextOffset, isForeign, metadata: null, ledger };
    }),
  );
}

export const standKey = (at: TopicPartition & { readonly part: string }): string =>
  `${at.part}/${addressOf(at)}`;
