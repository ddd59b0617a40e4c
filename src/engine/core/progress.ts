// The ledger of every part, read from where it is decided: a stream task's in its progress metadata, a sink task's in its
// progress row.
import type { AdminPort } from "./kafka.ts";
import { sumLedgers, type LedgerCounts } from "./ledger.ts";
import { decodeMetadata } from "./metadata.ts";
import type { Part, Plan, PlanTable } from "./plan.ts";
import type { TableStore } from "./ports.ts";
import type { TopicName, TopicPartition } from "./record.ts";

export interface PartProgress extends TopicPartition {
  readonly pipeline: string;
  readonly part: string;
  /** Null when the task has never run. */
  readonly nextOffset: bigint | null;
  readonly ledger: LedgerCounts | null;
}

export interface ProgressPorts {
  readonly admin: AdminPort;
  tableStore(table: PlanTable): TableStore;
}

/** Decided progress of every task of the plan. */
export async function readProgress(plan: Plan, ports: ProgressPorts): Promise<PartProgress[]> {
  const parts = await Promise.all(
    plan.parts.map((part) =>
      part.table === null ? streamProgress(plan, part, ports) : sinkProgress(plan, part, ports),
    ),
  );
  return parts.flat();
}

/** Decided progress of every task in the redrive topic. */
export function readRedriveProgress(plan: Plan, ports: ProgressPorts): Promise<PartProgress[]> {
  const parts = plan.parts.map((part) => {
    const [source] = part.sources as [Part["sources"][0]];
    return { ...part, sources: [{ ...source, name: plan.redrive, partitions: part.partitions }] };
  });
  return readProgress({ ...plan, parts }, ports);
}

/** The sum over the tasks of one part; zeros when none has run. */
export const ledgerOfPart = (progress: readonly PartProgress[], part: string): LedgerCounts =>
  sumLedgers(progress.filter((task) => task.part === part).flatMap((task) => task.ledger ?? []));

const partitionsOf = (part: Part): { topic: TopicName; partition: number }[] =>
  part.sources.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  );

async function streamProgress(
  { pipeline }: Plan,
  part: Part,
  { admin }: ProgressPorts,
): Promise<PartProgress[]> {
  const committed = await admin.committed(part.group, partitionsOf(part), { stable: true });
  return committed.map(({ topic, partition, nextOffset, metadata }) => {
    const ledger = decodeMetadata(metadata)?.ledger ?? null;
    return { pipeline, part: part.name, topic, partition, nextOffset, ledger };
  });
}

async function sinkProgress(
  { pipeline }: Plan,
  part: Part,
  ports: ProgressPorts,
): Promise<PartProgress[]> {
  const store = ports.tableStore(part.table as PlanTable);
  return Promise.all(
    partitionsOf(part).map(async (at) => {
      const progress = await store.progress({ pipeline, part: part.name, ...at });
      const { nextOffset = null, ledger = null } = progress ?? {};
      return { pipeline, part: part.name, ...at, nextOffset, ledger };
    }),
  );
}
